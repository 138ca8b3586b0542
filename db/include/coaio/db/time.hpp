// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <ratio>

/// Times and dates. A `timestamptz` is a `std::chrono::sys_time` (any unit from nanoseconds to hours), a `timestamp`
/// without a zone a `std::chrono::local_time`, a `date` a `std::chrono::sys_days` or `year_month_day`.
///
/// Postgres counts microseconds: finer units are rounded down when sent, coarser ones when read. Its range is wider
/// than that of most C++ types, and it knows ±infinity: what does not fit is an error, never a wrap. `Timestamp`,
/// `LocalTimestamp` and `Date` hold everything that Postgres does.
namespace coaio::db {

namespace detail {

/// Microseconds since 2000 from a count of units of num/den seconds since 1970, and back. Throw ValueError.
[[nodiscard]] std::int64_t to_postgres_micros(std::int64_t count, std::int64_t num, std::int64_t den);
[[nodiscard]] std::int64_t from_postgres_micros(std::int64_t micros, std::int64_t num, std::int64_t den);
[[nodiscard]] std::int32_t to_postgres_days(std::int64_t days_since_1970);
[[nodiscard]] std::int64_t decode_micros(const Encoded& value);
[[nodiscard]] std::int32_t decode_days(const Encoded& value);
[[nodiscard]] std::chrono::year_month_day calendar_day(std::int32_t days_since_2000);

template <class D>
concept TimeUnit = std::integral<typename D::rep> && (D::period::num == 1 || D::period::den == 1) &&
                   D::period::den <= 1'000'000'000 && std::ratio_less_v<typename D::period, std::chrono::days::period>;

template <class D>
[[nodiscard]] std::int64_t micros_of(D since_1970) {
    if (!std::in_range<std::int64_t>(since_1970.count())) out_of_range_number(since_1970.count(), "timestamptz");
    return to_postgres_micros(static_cast<std::int64_t>(since_1970.count()), D::period::num, D::period::den);
}

template <class D>
[[nodiscard]] D duration_of(std::int64_t micros) {
    std::int64_t count = from_postgres_micros(micros, D::period::num, D::period::den);
    if (!std::in_range<typename D::rep>(count)) out_of_range_number(count, "the C++ time point");
    return D(static_cast<typename D::rep>(count));
}

}  // namespace detail

/// `Timestamp` and `LocalTimestamp`: a time in full, from 4714 BC to the year 294276, and ±infinity.
template <class Clock>
class BasicTimestamp {
public:
    /// 2000-01-01 00:00.
    constexpr BasicTimestamp() = default;
    /// Throws ValueError where Postgres cannot hold it.
    template <detail::TimeUnit D>
    explicit BasicTimestamp(std::chrono::time_point<Clock, D> time)
        : micros_(detail::micros_of(time.time_since_epoch())) {}
    [[nodiscard]] static constexpr BasicTimestamp from_micros_since_2000(std::int64_t micros) noexcept {
        BasicTimestamp made;
        made.micros_ = micros;
        return made;
    }
    [[nodiscard]] static constexpr BasicTimestamp infinity() noexcept {
        return from_micros_since_2000(std::numeric_limits<std::int64_t>::max());
    }
    [[nodiscard]] static constexpr BasicTimestamp minus_infinity() noexcept {
        return from_micros_since_2000(std::numeric_limits<std::int64_t>::min());
    }

    [[nodiscard]] constexpr bool is_finite() const noexcept { return *this != infinity() && *this != minus_infinity(); }
    /// Throws ValueError for ±infinity and what `D` cannot hold.
    template <detail::TimeUnit D = std::chrono::microseconds>
    [[nodiscard]] std::chrono::sys_time<D> to_sys() const
        requires std::same_as<Clock, std::chrono::system_clock>
    {
        return std::chrono::sys_time<D>(detail::duration_of<D>(micros_));
    }
    template <detail::TimeUnit D = std::chrono::microseconds>
    [[nodiscard]] std::chrono::local_time<D> to_local() const
        requires std::same_as<Clock, std::chrono::local_t>
    {
        return std::chrono::local_time<D>(detail::duration_of<D>(micros_));
    }
    [[nodiscard]] constexpr std::int64_t micros_since_2000() const noexcept { return micros_; }
    friend constexpr auto operator<=>(const BasicTimestamp&, const BasicTimestamp&) = default;

private:
    std::int64_t micros_ = 0;
};

/// A `timestamptz` in full.
using Timestamp = BasicTimestamp<std::chrono::system_clock>;
/// A `timestamp` without a zone in full.
using LocalTimestamp = BasicTimestamp<std::chrono::local_t>;

/// A `date` in full: from 4714 BC to the year 5874897, and ±infinity.
class Date {
public:
    /// 2000-01-01.
    constexpr Date() = default;
    /// Throws ValueError where Postgres cannot hold it.
    explicit Date(std::chrono::sys_days day) : days_(detail::to_postgres_days(day.time_since_epoch().count())) {}
    [[nodiscard]] static constexpr Date from_days_since_2000(std::int32_t days) noexcept {
        Date made;
        made.days_ = days;
        return made;
    }
    [[nodiscard]] static constexpr Date infinity() noexcept {
        return from_days_since_2000(std::numeric_limits<std::int32_t>::max());
    }
    [[nodiscard]] static constexpr Date minus_infinity() noexcept {
        return from_days_since_2000(std::numeric_limits<std::int32_t>::min());
    }

    [[nodiscard]] constexpr bool is_finite() const noexcept { return *this != infinity() && *this != minus_infinity(); }
    /// Throws ValueError for ±infinity and beyond the range of sys_days.
    [[nodiscard]] std::chrono::sys_days to_sys() const;
    [[nodiscard]] constexpr std::int32_t days_since_2000() const noexcept { return days_; }
    friend constexpr auto operator<=>(const Date&, const Date&) = default;

private:
    std::int32_t days_ = 0;
};

template <class Clock>
struct Codec<BasicTimestamp<Clock>> {
    static constexpr bool zoned = std::same_as<Clock, std::chrono::system_clock>;
    static constexpr std::string_view name = zoned ? "coaio::db::Timestamp" : "coaio::db::LocalTimestamp";
    static constexpr Oid oid = zoned ? Oid::timestamptz : Oid::timestamp;
    static constexpr Format format = Format::binary;
    static void encode(BasicTimestamp<Clock> value, Encoder& out) { out.put_int64(value.micros_since_2000()); }
    static bool accepts(Oid type, Format) { return type == oid; }
    static BasicTimestamp<Clock> decode(const Encoded& value) {
        return BasicTimestamp<Clock>::from_micros_since_2000(detail::decode_micros(value));
    }
};

template <detail::TimeUnit D>
struct Codec<std::chrono::sys_time<D>> {
    static constexpr std::string_view name = "std::chrono::sys_time";
    static constexpr Oid oid = Oid::timestamptz;
    static constexpr Format format = Format::binary;
    static void encode(std::chrono::sys_time<D> value, Encoder& out) {
        out.put_int64(detail::micros_of(value.time_since_epoch()));
    }
    static bool accepts(Oid type, Format) { return type == Oid::timestamptz; }
    static std::chrono::sys_time<D> decode(const Encoded& value) {
        return std::chrono::sys_time<D>(detail::duration_of<D>(detail::decode_micros(value)));
    }
};

template <detail::TimeUnit D>
struct Codec<std::chrono::local_time<D>> {
    static constexpr std::string_view name = "std::chrono::local_time";
    static constexpr Oid oid = Oid::timestamp;
    static constexpr Format format = Format::binary;
    static void encode(std::chrono::local_time<D> value, Encoder& out) {
        out.put_int64(detail::micros_of(value.time_since_epoch()));
    }
    static bool accepts(Oid type, Format) { return type == Oid::timestamp; }
    static std::chrono::local_time<D> decode(const Encoded& value) {
        return std::chrono::local_time<D>(detail::duration_of<D>(detail::decode_micros(value)));
    }
};

template <>
struct Codec<Date> {
    static constexpr std::string_view name = "coaio::db::Date";
    static constexpr Oid oid = Oid::date;
    static constexpr Format format = Format::binary;
    static void encode(Date value, Encoder& out) { out.put_int32(value.days_since_2000()); }
    static bool accepts(Oid type, Format) { return type == Oid::date; }
    static Date decode(const Encoded& value) { return Date::from_days_since_2000(detail::decode_days(value)); }
};

template <>
struct Codec<std::chrono::sys_days> : CodecVia<std::chrono::sys_days, Date> {
    static constexpr std::string_view name = "std::chrono::sys_days";
    static Date to(std::chrono::sys_days day) { return Date(day); }
    static std::chrono::sys_days from(Date date) { return date.to_sys(); }
};

template <>
struct Codec<std::chrono::year_month_day> : CodecVia<std::chrono::year_month_day, Date> {
    static constexpr std::string_view name = "std::chrono::year_month_day";
    static Date to(std::chrono::year_month_day day) {
        if (!day.ok()) throw ValueError("not a day of the calendar");
        return Date(std::chrono::sys_days(day));
    }
    static std::chrono::year_month_day from(Date date) { return detail::calendar_day(date.days_since_2000()); }
};

}  // namespace coaio::db
