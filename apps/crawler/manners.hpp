// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace crawl {

/// Time and chance come from outside: the loop's clock, the loop's random source.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Millis = std::chrono::milliseconds;
/// A number from 0 up to, not including, 1.
using Random = std::function<double()>;

struct MannersOptions {
    unsigned per_host = 4;      // requests to one host at the same time
    Millis delay{0};            // between the starts of two of them
    unsigned max_retries = 2;   // after the first try
    Millis first_backoff{500};  // doubles with every try
    Millis max_backoff{60'000};
    Millis max_retry_after{300'000};  // a site that asks for more is given up
};

/// How one fetch ended, as far as manners go.
struct Ended {
    int status = 0;         // 0: no answer (refused, reset, timed out)
    bool for_good = false;  // and asking again would not help
    std::optional<Millis> retry_after;
};

/// How often and how soon a crawler asks one host: never more than `per_host` at once, never sooner than its
/// delay (or the site's crawl-delay) allows, and slower when it says 429 or 503: one request at a time after a pause,
/// then faster again with every ten good answers.
///
/// Nothing here waits: it says when. All times are given by the caller.
class Manners {
public:
    explicit Manners(const MannersOptions& options) : options_(options) {}

    /// When the next request to the host may start: `now` or earlier means at once, nothing that one must end first.
    [[nodiscard]] std::optional<TimePoint> may_start(const std::string& host, TimePoint now) const;

    void started(const std::string& host, TimePoint now);
    void ended(const std::string& host, const Ended& how, TimePoint now);
    /// What was started was not sent after all: it costs the next one no delay, but for what others have brought about.
    void withdrawn(const std::string& host);

    /// From robots.txt; with it there is one request at a time. It never makes the crawl faster than the options.
    void set_crawl_delay(const std::string& host, Millis delay);

    /// Whether to try again what ended so after `tries` tries (1: the first), and after which pause; nothing means
    /// that the result stands.
    [[nodiscard]] std::optional<Millis> retry(const Ended& how, unsigned tries, const Random& random) const;

    [[nodiscard]] unsigned running(const std::string& host) const;

private:
    struct Host {
        unsigned running = 0;
        unsigned level = 0;  // how often it was doubled
        unsigned good_answers = 0;
        bool has_crawl_delay = false;
        Millis crawl_delay{0};
        TimePoint next_start{};
        TimePoint before{};  // next_start as it was before the last start, or is since the last end
    };
    [[nodiscard]] Millis delay_of(const Host& host) const;
    [[nodiscard]] Millis doubled(Millis base, unsigned times) const;

    MannersOptions options_;
    std::unordered_map<std::string, Host> hosts_;
};

/// Whether the same request may well succeed later: no answer (unless for good), 408, 429, 500, 502, 503, 504.
[[nodiscard]] bool may_pass(const Ended& how) noexcept;

/// Reads Retry-After (RFC 9110, section 10.2.3): seconds, or a date that is compared with `now`, the wall clock.
/// A date in the past is zero; at most a year.
[[nodiscard]] std::optional<Millis> parse_retry_after(std::string_view value,
                                                      std::chrono::system_clock::time_point now);

}  // namespace crawl
