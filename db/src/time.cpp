// SPDX-License-Identifier: MIT
#include <coaio/db/time.hpp>

#include <charconv>

namespace coaio::db {

std::chrono::sys_days Date::to_sys() const {
    if (!is_finite()) throw ValueError("an infinite date has no C++ value; read it as coaio::db::Date");
    return std::chrono::sys_days(std::chrono::days(static_cast<std::int64_t>(days_) + 10957));
}

namespace detail {
namespace {

constexpr std::int64_t seconds_to_2000 = 946684800;
constexpr std::int64_t days_to_2000 = 10957;
constexpr std::int64_t micro = 1'000'000;
constexpr std::int64_t plus_infinity = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t minus_infinity = std::numeric_limits<std::int64_t>::min();
// What Postgres holds: from 4714-11-24 BC, and before these.
constexpr std::int64_t first_micros = -211'813'488'000'000'000;
constexpr std::int64_t end_of_micros = 9'223'371'331'200'000'000;
constexpr std::int64_t first_day = -2'451'545;
constexpr std::int64_t end_of_days = 2'145'031'949;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return a % b + (a % b < 0 ? b : 0); }

std::int64_t times_plus(std::int64_t a, std::int64_t factor, std::int64_t plus) {
    std::int64_t product = 0;
    std::int64_t sum = 0;
    // The product of a negative number may be below the range when the sum is not: multiply the next one up.
    bool up = a < 0 && plus > 0;
    if (__builtin_mul_overflow(up ? a + 1 : a, factor, &product) ||
        __builtin_add_overflow(product, up ? plus - factor : plus, &sum)) {
        throw ValueError("a time out of range");
    }
    return sum;
}

// Days since 1970 of a day of the proleptic Gregorian calendar; the year counts 1 BC as 0.
std::int64_t days_from_civil(std::int64_t year, int month, int day) {
    year -= month <= 2 ? 1 : 0;
    std::int64_t era = floor_div(year, 400);
    std::int64_t year_of_era = year - era * 400;
    std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/// The server's ISO form: `2024-02-29 23:59:59.5+05:30 BC`, each part behind the date optional.
class TextTime {
public:
    explicit TextTime(std::string_view text) : rest_(text) {
        if (rest_.size() > 3 && rest_.substr(rest_.size() - 3) == " BC") {
            before_christ_ = true;
            rest_.remove_suffix(3);
        }
    }

    std::int64_t read_days() {
        std::int64_t year = number();
        expect('-');
        std::int64_t month = number();
        expect('-');
        std::int64_t day = number();
        if (year < 1 || year > 6'000'000 || month < 1 || month > 12 || day < 1 || day > 31) bad();
        return days_from_civil(before_christ_ ? 1 - year : year, static_cast<int>(month), static_cast<int>(day));
    }

    std::int64_t read_micros_of_day() {
        expect(' ');
        std::int64_t seconds = clock();
        std::int64_t micros = 0;
        if (take('.')) {
            std::int64_t unit = micro / 10;
            for (; !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; rest_.remove_prefix(1), unit /= 10) {
                micros += (rest_[0] - '0') * unit;
            }
        }
        bool west = take('-');
        if (west || take('+')) {
            std::int64_t offset = zone();
            seconds += west ? offset : -offset;
        }
        return seconds * micro + micros;
    }

    void expect_end() const {
        if (!rest_.empty()) bad();
    }

private:
    [[noreturn]] static void bad() {
        throw ValueError("a time in a form this module does not read (the server's DateStyle must be ISO)");
    }
    bool take(char c) {
        if (rest_.empty() || rest_[0] != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void expect(char c) {
        if (!take(c)) bad();
    }
    std::int64_t number() {
        std::int64_t value = 0;
        auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc() || value < 0) bad();
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        return value;
    }
    std::int64_t sixtieth() {
        std::int64_t value = number();
        if (value > 60) bad();
        return value;
    }
    std::int64_t clock() {
        std::int64_t hours = sixtieth();
        expect(':');
        std::int64_t minutes = sixtieth();
        expect(':');
        return (hours * 60 + minutes) * 60 + sixtieth();
    }
    std::int64_t zone() {
        std::int64_t seconds = sixtieth() * 3600;
        if (take(':')) seconds += sixtieth() * 60;
        if (take(':')) seconds += sixtieth();
        return seconds;
    }

    std::string_view rest_;
    bool before_christ_ = false;
};

}  // namespace

std::int64_t to_postgres_micros(std::int64_t count, std::int64_t num, std::int64_t den) {
    std::int64_t seconds = den == 1 ? times_plus(count, num, 0) : floor_div(count, den);
    std::int64_t part = den == 1 ? 0 : floor_mod(count, den) * micro / den;
    std::int64_t since_2000 = times_plus(seconds, 1, -seconds_to_2000);
    std::int64_t micros = times_plus(since_2000, micro, part);
    if (micros < first_micros || micros >= end_of_micros) throw ValueError("a time out of range");
    return micros;
}

std::int64_t from_postgres_micros(std::int64_t micros, std::int64_t num, std::int64_t den) {
    if (micros == plus_infinity || micros == minus_infinity) {
        throw ValueError(
            "an infinite timestamp has no C++ value; read it as coaio::db::Timestamp, or without a zone as "
            "coaio::db::LocalTimestamp");
    }
    std::int64_t seconds = floor_div(micros, micro);
    std::int64_t part = floor_mod(micros, micro);
    seconds += seconds_to_2000;
    return den == 1 ? floor_div(seconds, num) : times_plus(seconds, den, part * den / micro);
}

std::int32_t to_postgres_days(std::int64_t days_since_1970) {
    std::int64_t days = times_plus(days_since_1970, 1, -days_to_2000);
    if (days < first_day || days >= end_of_days) out_of_range_number(days, "date");
    return static_cast<std::int32_t>(days);
}

std::chrono::year_month_day calendar_day(std::int32_t days_since_2000) {
    std::chrono::sys_days day = Date::from_days_since_2000(days_since_2000).to_sys();
    constexpr std::chrono::sys_days first(std::chrono::year::min() / std::chrono::January / 1);
    constexpr std::chrono::sys_days last(std::chrono::year::max() / std::chrono::December / 31);
    if (day < first || day > last) throw ValueError("a year out of the range of std::chrono::year");
    return std::chrono::year_month_day(day);
}

std::int64_t decode_micros(const Encoded& value) {
    if (value.format == Format::binary) {
        Decoder in(value.bytes);
        std::int64_t micros = in.get_int64();
        in.expect_end();
        return micros;
    }
    if (value.bytes == "infinity") return plus_infinity;
    if (value.bytes == "-infinity") return minus_infinity;
    TextTime text(value.bytes);
    std::int64_t days = text.read_days() - days_to_2000;
    std::int64_t of_day = text.read_micros_of_day();
    text.expect_end();
    return times_plus(days, 86400 * micro, of_day);
}

std::int32_t decode_days(const Encoded& value) {
    if (value.format == Format::binary) {
        Decoder in(value.bytes);
        std::int32_t days = in.get_int32();
        in.expect_end();
        return days;
    }
    if (value.bytes == "infinity") return std::numeric_limits<std::int32_t>::max();
    if (value.bytes == "-infinity") return std::numeric_limits<std::int32_t>::min();
    TextTime text(value.bytes);
    std::int64_t days = text.read_days();
    text.expect_end();
    return to_postgres_days(days);
}

}  // namespace detail
}  // namespace coaio::db
