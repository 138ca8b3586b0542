// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Ranges: `db::Range<int>` for an int4range, of `std::int64_t` for an int8range, of `Numeric`, of `Date` or
/// `std::chrono::sys_days`, of `std::chrono::local_time` (tsrange), of `Timestamp` or `std::chrono::sys_time` (tstzrange),
/// and of whatever a range type of the user's is over. `db::Multirange` is several of them.
namespace coaio::db {

/// From a lower to an upper bound, each of which belongs to it or not, or is missing: then there is no limit.
///
/// The server brings ranges over integers and days into the form [lower, upper), and a range that holds nothing into
/// `empty()`; what one has made oneself is left as it is.
template <class T>
class Range {
public:
    enum class Bound : unsigned char { exclusive, inclusive };

    /// Without limits: it holds everything.
    Range() = default;
    /// [lower, upper) unless it is said otherwise; nullopt is no limit.
    Range(std::optional<T> lower, std::optional<T> upper, Bound at_lower = Bound::inclusive,
          Bound at_upper = Bound::exclusive)
        : lower_(std::move(lower)),
          upper_(std::move(upper)),
          lower_inclusive_(lower_.has_value() && at_lower == Bound::inclusive),
          upper_inclusive_(upper_.has_value() && at_upper == Bound::inclusive) {}
    /// The one that holds nothing.
    [[nodiscard]] static Range empty() {
        Range made;
        made.empty_ = true;
        return made;
    }

    [[nodiscard]] bool is_empty() const noexcept { return empty_; }
    [[nodiscard]] const std::optional<T>& lower() const noexcept { return lower_; }
    [[nodiscard]] const std::optional<T>& upper() const noexcept { return upper_; }
    [[nodiscard]] bool lower_inclusive() const noexcept { return lower_inclusive_; }
    [[nodiscard]] bool upper_inclusive() const noexcept { return upper_inclusive_; }
    [[nodiscard]] bool contains(const T& value) const {
        if (empty_) return false;
        if (lower_ && (value < *lower_ || (!lower_inclusive_ && !(*lower_ < value)))) return false;
        return !upper_ || value < *upper_ || (upper_inclusive_ && !(*upper_ < value));
    }
    friend bool operator==(const Range&, const Range&) = default;

private:
    std::optional<T> lower_;
    std::optional<T> upper_;
    bool lower_inclusive_ = false;
    bool upper_inclusive_ = false;
    bool empty_ = false;
};

/// Ranges in order that do not touch, as the server makes them of any.
template <class T>
class Multirange {
public:
    Multirange() = default;
    explicit Multirange(std::vector<Range<T>> ranges) noexcept : ranges_(std::move(ranges)) {}

    [[nodiscard]] const std::vector<Range<T>>& ranges() const noexcept { return ranges_; }
    friend bool operator==(const Multirange&, const Multirange&) = default;

private:
    std::vector<Range<T>> ranges_;
};

namespace detail {

/// A range in parts, with its bounds as they came.
class RangeParts {
public:
    RangeParts() = default;
    bool empty = false;
    bool lower_inclusive = false;
    bool upper_inclusive = false;
    std::optional<std::string> lower;
    std::optional<std::string> upper;
};

/// Throw ValueError where it is not well-formed.
[[nodiscard]] RangeParts parse_range(Format format, std::string_view bytes);
[[nodiscard]] std::vector<RangeParts> parse_multirange(Format format, std::string_view bytes);
void write_range(const RangeParts& parts, Format format, Encoder& out);
void write_multirange(const std::vector<RangeParts>& parts, Format format, Encoder& out);

using AcceptsType = bool (*)(Oid, Format, const UserTypes*);
[[nodiscard]] bool accepts_range(Oid type, Format format, const UserTypes* types, AcceptsType accepts_bound);
[[nodiscard]] bool accepts_multirange(Oid type, Format format, const UserTypes* types, AcceptsType accepts_bound);
/// What the bounds are of; `otherwise` where nobody knows.
[[nodiscard]] Oid bound_type(const Encoded& range, Oid otherwise) noexcept;
/// Bounds in binary become text.
void write_out_bounds(RangeParts& parts, Oid subtype);

/// As text where the range's own type is the user's: what contains it would have to name that in binary.
template <class T>
[[nodiscard]] consteval Format range_format(Oid range) {
    const bool of_the_users = range == Oid::unspecified && Codec<T>::oid != Oid::unspecified;
    return of_the_users ? Format::text : Codec<T>::format;
}

template <class T>
RangeParts range_parts(const Range<T>& range, Format format) {
    RangeParts parts;
    parts.empty = range.is_empty();
    parts.lower_inclusive = range.lower_inclusive();
    parts.upper_inclusive = range.upper_inclusive();
    if (range.lower()) {
        Encoder out(parts.lower.emplace());
        Codec<T>::encode(*range.lower(), out);
    }
    if (range.upper()) {
        Encoder out(parts.upper.emplace());
        Codec<T>::encode(*range.upper(), out);
    }
    if (format != Codec<T>::format) write_out_bounds(parts, Codec<T>::oid);
    return parts;
}

template <class T>
Range<T> range_of(const RangeParts& parts, const Encoded& whole) {
    static_assert(!borrows<T>, "the bounds of a range are read as what owns them: std::string");
    using Bound = typename Range<T>::Bound;
    if (parts.empty) return Range<T>::empty();
    Encoded bound = whole;
    bound.type = bound_type(whole, Codec<T>::oid);
    std::optional<T> lower;
    std::optional<T> upper;
    if (parts.lower) {
        bound.bytes = *parts.lower;
        lower.emplace(decode<Codec<T>>(bound));
    }
    if (parts.upper) {
        bound.bytes = *parts.upper;
        upper.emplace(decode<Codec<T>>(bound));
    }
    return Range<T>(std::move(lower), std::move(upper), static_cast<Bound>(parts.lower_inclusive),
                    static_cast<Bound>(parts.upper_inclusive));
}

}  // namespace detail

/// Sent as the range over T's type, in binary where T is; as one of the user's, as text whose type is left to the server.
template <class T>
struct Codec<Range<T>> {
    static constexpr std::string_view name = "coaio::db::Range";
    static constexpr Oid oid = range_type(Codec<T>::oid);
    static constexpr Oid array_oid = array_type(oid);
    static constexpr Format format = detail::range_format<T>(oid);
    static void encode(const Range<T>& value, Encoder& out) {
        detail::write_range(detail::range_parts(value, format), format, out);
    }
    static bool accepts(Oid type, Format sent, const detail::UserTypes* types = nullptr) {
        return detail::accepts_range(type, sent, types, &detail::accepts<Codec<T>>);
    }
    static Range<T> decode(const Encoded& value) {
        return detail::range_of<T>(detail::parse_range(value.format, value.bytes), value);
    }
};

template <class T>
struct Codec<Multirange<T>> {
    static constexpr std::string_view name = "coaio::db::Multirange";
    static constexpr Oid oid = multirange_type(Codec<T>::oid);
    static constexpr Oid array_oid = array_type(oid);
    static constexpr Format format = detail::range_format<T>(oid);
    static void encode(const Multirange<T>& value, Encoder& out) {
        std::vector<detail::RangeParts> parts;
        parts.reserve(value.ranges().size());
        for (const auto& each : value.ranges()) parts.push_back(detail::range_parts(each, format));
        detail::write_multirange(parts, format, out);
    }
    static bool accepts(Oid type, Format sent, const detail::UserTypes* types = nullptr) {
        return detail::accepts_multirange(type, sent, types, &detail::accepts<Codec<T>>);
    }
    static Multirange<T> decode(const Encoded& value) {
        std::vector<Range<T>> ranges;
        for (const auto& each : detail::parse_multirange(value.format, value.bytes)) {
            ranges.push_back(detail::range_of<T>(each, value));
        }
        return Multirange<T>(std::move(ranges));
    }
};

}  // namespace coaio::db
