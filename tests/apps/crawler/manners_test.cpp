// SPDX-License-Identifier: MIT
#include "crawler/manners.hpp"

#include <string>

#include "support/catch.hpp"

using crawl::Ended;
using crawl::Manners;
using crawl::MannersOptions;
using crawl::Millis;
using crawl::TimePoint;
using namespace std::chrono_literals;

namespace {

const std::string host = "a";
const TimePoint start{1h};

Ended answer(int status, std::optional<Millis> retry_after = std::nullopt) {
    Ended how;
    how.status = status;
    how.retry_after = retry_after;
    return how;
}

}  // namespace

TEST_CASE("a host is asked so many things at once and no more") {
    MannersOptions options;
    options.per_host = 2;
    Manners manners(options);
    for (int i = 0; i < 2; ++i) {
        CHECK(manners.may_start(host, start) == start);
        manners.started(host, start);
    }
    CHECK_FALSE(manners.may_start(host, start));
    CHECK(manners.may_start("b", start) == start);
    manners.ended(host, answer(200), start);
    CHECK(manners.may_start(host, start) == start);
    CHECK(manners.running(host) == 1);
}

TEST_CASE("between two starts lies the delay, and the site's own if it is longer") {
    MannersOptions options;
    options.delay = 100ms;
    Manners manners(options);
    manners.started(host, start);
    CHECK(manners.may_start(host, start) == start + 100ms);
    CHECK(manners.may_start(host, start + 200ms) == start + 200ms);

    manners.set_crawl_delay(host, 5s);
    manners.ended(host, answer(200), start);
    manners.started(host, start + 1s);
    CHECK_FALSE(manners.may_start(host, start + 1s));
    manners.ended(host, answer(200), start + 2s);
    CHECK(manners.may_start(host, start + 2s) == start + 6s);
    manners.set_crawl_delay(host, 10ms);
    manners.started(host, start + 6s);
    manners.ended(host, answer(200), start + 6s);
    CHECK(manners.may_start(host, start + 6s) == start + 6s + 100ms);
}

TEST_CASE("429 means: one at a time, after a pause, and the pause doubles") {
    Manners manners(MannersOptions{});
    manners.started(host, start);
    manners.started(host, start);
    manners.ended(host, answer(429), start);
    CHECK_FALSE(manners.may_start(host, start));
    manners.ended(host, answer(503), start);
    CHECK(manners.may_start(host, start) == start + 1000ms);
    manners.started(host, start + 1s);
    manners.ended(host, answer(429, 30s), start + 1s);
    CHECK(manners.may_start(host, start + 1s) == start + 31s);
}

TEST_CASE("a request that is not sent costs nothing, and shortens no pause that another one brought about") {
    MannersOptions options;
    options.delay = 100ms;
    Manners manners(options);
    manners.started(host, start);
    manners.withdrawn(host);
    CHECK(manners.may_start(host, start) == start);

    manners.started(host, start);
    manners.started(host, start + 100ms);
    manners.ended(host, answer(429, 30s), start + 150ms);
    manners.withdrawn(host);
    CHECK(manners.may_start(host, start + 150ms) == start + 30s + 150ms);
}

TEST_CASE("ten good answers make it faster again") {
    Manners manners(MannersOptions{});
    manners.started(host, start);
    manners.ended(host, answer(429), start);
    auto now = start;
    for (int i = 0; i < 10; ++i) {
        now = *manners.may_start(host, now);
        manners.started(host, now);
        CHECK_FALSE(manners.may_start(host, now));
        manners.ended(host, answer(i % 2 == 0 ? 200 : 404), now);
    }
    now += 1s;
    manners.started(host, now);
    CHECK(manners.may_start(host, now) == now);
}

TEST_CASE("a site that asks for an hour is not waited for that long") {
    Manners manners(MannersOptions{});
    manners.started(host, start);
    manners.ended(host, answer(429, 1h), start);
    CHECK(manners.may_start(host, start) == start + 300s);
    CHECK_FALSE(manners.retry(answer(429, 1h), 1, [] { return 0.0; }));
}

TEST_CASE("retries back off exponentially, with chance, and end") {
    MannersOptions options;
    options.max_retries = 3;
    options.first_backoff = 1000ms;
    options.max_backoff = 3000ms;
    Manners manners(options);
    auto least = [] { return 0.0; };
    auto most = [] { return 0.999; };
    CHECK(manners.retry(answer(0), 1, least) == 500ms);
    CHECK(manners.retry(answer(0), 1, most) == 999ms);
    CHECK(manners.retry(answer(500), 2, least) == 1000ms);
    CHECK(manners.retry(answer(500), 3, least) == 1500ms);
    CHECK_FALSE(manners.retry(answer(500), 4, least));
    CHECK(manners.retry(answer(503, 20s), 1, least) == 20s);
    CHECK_FALSE(manners.retry(answer(404), 1, least));
    CHECK_FALSE(manners.retry(answer(200), 1, least));
    CHECK_FALSE(manners.retry(answer(501), 1, least));
}

TEST_CASE("Retry-After is seconds or a date") {
    using crawl::parse_retry_after;
    std::chrono::system_clock::time_point now{std::chrono::seconds(784111777)};
    CHECK(parse_retry_after(" 120 ", now) == 120s);
    CHECK(parse_retry_after("0", now) == 0s);
    CHECK(parse_retry_after("99999999999999", now) == 366 * 24h);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now) == 60s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now) == 0s);
    CHECK_FALSE(parse_retry_after("-5", now));
    CHECK_FALSE(parse_retry_after("soon", now));
}
