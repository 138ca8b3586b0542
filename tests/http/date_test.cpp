// SPDX-License-Identifier: MIT
#include <coaio/http/date.hpp>

#include "date_text.hpp"

#include "support/catch.hpp"

#include <chrono>

using namespace coaio::http;
using namespace std::chrono;

namespace {
WallTime at(long long second) { return WallTime(seconds(second)); }
const WallTime now = WallTime(sys_days(2026y / November / 22));
}  // namespace

TEST_CASE("a date is written as IMF-fixdate") {
    CHECK(format_date(at(784111777)) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(format_date(at(0)) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(format_date(at(-1)) == "Wed, 31 Dec 1969 23:59:59 GMT");
    CHECK(format_date(at(1709210096) + milliseconds(999)) == "Thu, 29 Feb 2024 12:34:56 GMT");
}

TEST_CASE("all three forms of a date are read") {
    CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", now) == at(784111777));
    CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", now) == at(784111777));
    CHECK(parse_date("Sun Nov  6 08:49:37 1994", now) == at(784111777));
    CHECK(parse_date("Sun Nov 16 08:49:37 1994", now) == at(784111777 + 10 * 86400));
    auto later = parse_date("Saturday, 01-Jan-50 00:00:00 GMT", now);
    CHECK(later == WallTime(sys_days(2050y / January / 1)));
}

TEST_CASE("what is not a date is not read as one") {
    for (const char* text :
         {"", "0", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 31 Feb 2020 00:00:00 GMT",
          "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "-1", "Sun, 0a Nov 1994 08:49:37 GMT",
          "Sun, 06 Nob 1994 08:49:37 GMT", "Sunday, 06-Nov-94"}) {
        CHECK_FALSE(parse_date(text, now).has_value());
    }
}

TEST_CASE("a year that the clock cannot tell becomes the last that it can") {
    auto far = parse_date("Fri, 31 Dec 9999 23:59:59 GMT", now);
    REQUIRE(far.has_value());
    CHECK(*far > WallTime(sys_days(2200y / January / 1)));
}

TEST_CASE("dates of cookies are read more loosely") {
    CHECK(parse_cookie_date("Sun, 06 Nov 1994 08:49:37 GMT") == at(784111777));
    CHECK(parse_cookie_date("Sun, 06-Nov-94 08:49:37 GMT") == at(784111777));
    CHECK(parse_cookie_date("1994 6 November 8:49:37") == at(784111777));
    CHECK(parse_cookie_date("6 November 1994 8:49:37") == at(784111777));
    CHECK(parse_cookie_date("Sun Nov  6 08:49:37 1994") == at(784111777));
    CHECK(parse_cookie_date("Wed, 09 Jun 69 10:18:14 GMT") == WallTime(sys_days(2069y / June / 9) + 10h + 18min + 14s));
    CHECK_FALSE(parse_cookie_date("06 Nov 1994").has_value());
    CHECK_FALSE(parse_cookie_date("").has_value());
    CHECK_FALSE(parse_cookie_date("Sun, 06 Nov 1500 08:49:37 GMT").has_value());
}

TEST_CASE("the line of the Date header changes with the second only") {
    detail::DateText text;
    auto first = text.line(at(784111777));
    CHECK(first == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    CHECK(text.line(at(784111777) + milliseconds(900)).data() == first.data());
    CHECK(text.line(at(784111778)) == "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
}
