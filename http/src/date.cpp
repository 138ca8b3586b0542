// SPDX-License-Identifier: MIT
#include <coaio/http/date.hpp>

#include "date_text.hpp"
#include "text.hpp"

#include <array>
#include <charconv>
#include <cstdint>

namespace coaio::http {

using namespace std::chrono;
using detail::is_digit;

namespace {

constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void put(char* to, unsigned value, int width) {
    for (int i = width; i-- > 0; value /= 10) to[i] = static_cast<char>('0' + value % 10);
}

std::optional<unsigned> month_of(std::string_view text) {
    for (unsigned i = 0; i < 12; ++i) {
        if (detail::iequals(text.substr(0, 3), months[i])) return i + 1;
    }
    return std::nullopt;
}

struct Parts {
    int year = 0;
    unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

std::optional<WallTime> moment(const Parts& at) {
    auto date = year(at.year) / month(at.month) / day(at.day);
    if (!date.ok() || at.year < 1601 || at.year > 9999 || at.hour > 23 || at.minute > 59 || at.second > 60) {
        return std::nullopt;
    }
    // A clock of nanoseconds ends in 2262: later dates become the last one that it can tell.
    auto since = sys_days(date).time_since_epoch();
    auto whole = duration_cast<seconds>(since) + hours(at.hour) + minutes(at.minute) + seconds(at.second);
    auto last = duration_cast<seconds>(WallTime::max().time_since_epoch());
    auto first = duration_cast<seconds>(WallTime::min().time_since_epoch());
    return WallTime(whole > last ? last : whole < first ? first : whole);
}

/// Reads a date from left to right; once something does not fit, nothing fits any more.
class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}

    Reader& literal(std::string_view word) {
        if (good_ && text_.substr(0, word.size()) == word)
            text_.remove_prefix(word.size());
        else
            good_ = false;
        return *this;
    }
    Reader& number(unsigned& into, std::size_t digits, bool space_first = false) {
        if (good_ && space_first && !text_.empty() && text_[0] == ' ') {
            text_.remove_prefix(1);
            --digits;
        }
        auto value = text_.size() < digits ? std::nullopt : detail::parse_uint(text_.substr(0, digits));
        good_ = good_ && value.has_value();
        if (!good_) return *this;
        into = static_cast<unsigned>(*value);
        text_.remove_prefix(digits);
        return *this;
    }
    Reader& month(unsigned& into) {
        auto found = text_.size() < 3 ? std::nullopt : month_of(text_);
        good_ = good_ && found.has_value();
        if (!good_) return *this;
        into = *found;
        text_.remove_prefix(3);
        return *this;
    }
    Reader& time(Parts& into) {
        return number(into.hour, 2).literal(":").number(into.minute, 2).literal(":").number(into.second, 2);
    }
    Reader& skip(std::size_t bytes) {
        good_ = good_ && text_.size() >= bytes;
        if (good_) text_.remove_prefix(bytes);
        return *this;
    }
    [[nodiscard]] bool done() const { return good_ && text_.empty(); }

private:
    std::string_view text_;
    bool good_ = true;
};

}  // namespace

namespace detail {

void write_date(char* to, WallTime when) {
    auto at = floor<seconds>(when);
    auto day_start = floor<std::chrono::days>(at);
    year_month_day date(day_start);
    hh_mm_ss time(at - day_start);
    std::string_view name = days[weekday(day_start).c_encoding()];
    name.copy(to, 3);
    to[3] = ',';
    to[4] = ' ';
    put(to + 5, static_cast<unsigned>(date.day()), 2);
    to[7] = ' ';
    months[static_cast<unsigned>(date.month()) - 1].copy(to + 8, 3);
    to[11] = ' ';
    put(to + 12, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    to[16] = ' ';
    put(to + 17, static_cast<unsigned>(time.hours().count()), 2);
    to[19] = ':';
    put(to + 20, static_cast<unsigned>(time.minutes().count()), 2);
    to[22] = ':';
    put(to + 23, static_cast<unsigned>(time.seconds().count()), 2);
    std::string_view(" GMT").copy(to + 25, 4);
}

std::string_view DateText::line(WallTime now) {
    auto second = floor<seconds>(now).time_since_epoch().count();
    if (second != second_) {
        name.copy(text_.data(), name.size());
        write_date(text_.data() + name.size(), now);
        end.copy(text_.data() + name.size() + date_size, end.size());
        second_ = second;
    }
    return {text_.data(), text_.size()};
}

}  // namespace detail

std::string format_date(WallTime when) {
    std::string text(detail::date_size, ' ');
    detail::write_date(text.data(), when);
    return text;
}

std::optional<WallTime> parse_date(std::string_view text, WallTime now) {
    Parts at;
    unsigned four = 0;
    // IMF-fixdate
    if (Reader(text)
            .skip(3)
            .literal(", ")
            .number(at.day, 2)
            .literal(" ")
            .month(at.month)
            .literal(" ")
            .number(four, 4)
            .literal(" ")
            .time(at)
            .literal(" GMT")
            .done()) {
        at.year = static_cast<int>(four);
        return moment(at);
    }
    // asctime
    at = Parts{};
    if (Reader(text)
            .skip(3)
            .literal(" ")
            .month(at.month)
            .literal(" ")
            .number(at.day, 2, true)
            .literal(" ")
            .time(at)
            .literal(" ")
            .number(four, 4)
            .done()) {
        at.year = static_cast<int>(four);
        return moment(at);
    }
    // RFC 850
    auto comma = text.find(", ");
    unsigned two = 0;
    at = Parts{};
    if (comma == text.npos || comma < 6 || comma > 9) return std::nullopt;
    if (Reader(text)
            .skip(comma + 2)
            .number(at.day, 2)
            .literal("-")
            .month(at.month)
            .literal("-")
            .number(two, 2)
            .literal(" ")
            .time(at)
            .literal(" GMT")
            .done()) {
        int this_year = static_cast<int>(year_month_day(floor<std::chrono::days>(now)).year());
        at.year = this_year - this_year % 100 + static_cast<int>(two);
        if (at.year > this_year + 50) at.year -= 100;
        return moment(at);
    }
    return std::nullopt;
}

std::optional<WallTime> parse_cookie_date(std::string_view text) {
    auto is_delimiter = [](char c) {
        auto b = detail::byte(c);
        return b == 0x09 || (b >= 0x20 && b <= 0x2f) || (b >= 0x3b && b <= 0x40) || (b >= 0x5b && b <= 0x60) ||
               (b >= 0x7b && b <= 0x7e);
    };
    auto leading = [](std::string_view token, std::size_t least, std::size_t most) -> std::optional<unsigned> {
        std::size_t size = 0;
        while (size < token.size() && size <= most && is_digit(token[size])) ++size;
        if (size < least || size > most) return std::nullopt;
        return static_cast<unsigned>(*detail::parse_uint(token.substr(0, size)));
    };
    Parts at;
    bool time = false, day = false, month = false, year = false;
    std::size_t i = 0;
    while (i < text.size()) {
        if (is_delimiter(text[i])) {
            ++i;
            continue;
        }
        std::size_t start = i;
        while (i < text.size() && !is_delimiter(text[i])) ++i;
        auto token = text.substr(start, i - start);
        if (!time) {
            auto first = token.find(':');
            auto second = first == token.npos ? token.npos : token.find(':', first + 1);
            if (second != token.npos) {
                auto hour = leading(token, 1, 2), minute = leading(token.substr(first + 1), 1, 2),
                     sec = leading(token.substr(second + 1), 1, 2);
                if (hour && minute && sec && (first == 1 || first == 2) && second - first <= 3) {
                    at.hour = *hour;
                    at.minute = *minute;
                    at.second = *sec;
                    time = true;
                    continue;
                }
            }
        }
        if (auto value = leading(token, 1, 2); value && !day) {
            at.day = *value;
            day = true;
        } else if (auto named = token.size() >= 3 ? month_of(token) : std::nullopt; named && !month) {
            at.month = *named;
            month = true;
        } else if (auto number = leading(token, 2, 4); number && !year) {
            at.year = static_cast<int>(*number);
            if (at.year >= 70 && at.year <= 99)
                at.year += 1900;
            else if (at.year <= 69)
                at.year += 2000;
            year = true;
        }
    }
    if (!time || !day || !month || !year) return std::nullopt;
    return moment(at);
}

}  // namespace coaio::http
