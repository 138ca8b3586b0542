// SPDX-License-Identifier: MIT
#include "crawler/manners.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <coaio/http/date.hpp>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

constexpr unsigned max_level = 8;
constexpr unsigned good_answers_to_recover = 10;

bool asks_for_less(const Ended& how) { return how.status == 429 || how.status == 503; }

}  // namespace

bool may_pass(const Ended& how) noexcept {
    switch (how.status) {
    case 0: return !how.for_good;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: return true;
    default: return false;
    }
}

Millis Manners::doubled(Millis base, unsigned times) const {
    auto value = std::min(base, options_.max_backoff);
    for (unsigned i = 0; i < times && value < options_.max_backoff; ++i)
        value = std::min(value * 2, options_.max_backoff);
    return value;
}

Millis Manners::delay_of(const Host& host) const {
    auto base = std::max(options_.delay, host.crawl_delay);
    if (host.level == 0) return base;
    return std::max(base, doubled(std::max(base, options_.first_backoff), host.level - 1));
}

std::optional<TimePoint> Manners::may_start(const std::string& name, TimePoint now) const {
    auto found = hosts_.find(name);
    if (found == hosts_.end()) return now;
    const auto& host = found->second;
    unsigned most = host.level > 0 || host.has_crawl_delay ? 1 : std::max(options_.per_host, 1U);
    if (host.running >= most) return std::nullopt;
    return std::max(host.next_start, now);
}

void Manners::started(const std::string& name, TimePoint now) {
    auto& host = hosts_[name];
    ++host.running;
    host.before = host.next_start;
    host.next_start = std::max(host.next_start, now + delay_of(host));
}

void Manners::ended(const std::string& name, const Ended& how, TimePoint now) {
    auto& host = hosts_[name];
    if (host.running > 0) --host.running;
    if (asks_for_less(how)) {
        host.level = std::min(host.level + 1, max_level);
        host.good_answers = 0;
        auto pause = delay_of(host);
        if (how.retry_after) pause = std::max(pause, std::min(*how.retry_after, options_.max_retry_after));
        host.next_start = std::max(host.next_start, now + pause);
    } else if (how.status != 0 && host.level > 0 && ++host.good_answers >= good_answers_to_recover) {
        --host.level;
        host.good_answers = 0;
    }
    host.before = host.next_start;
}

void Manners::withdrawn(const std::string& name) {
    auto& host = hosts_[name];
    if (host.running > 0) --host.running;
    if (host.running == 0) host.next_start = host.before;
}

void Manners::set_crawl_delay(const std::string& name, Millis delay) {
    auto& host = hosts_[name];
    host.has_crawl_delay = delay > Millis(0);
    host.crawl_delay = delay;
}

std::optional<Millis> Manners::retry(const Ended& how, unsigned tries, const Random& random) const {
    if (!may_pass(how) || tries > options_.max_retries) return std::nullopt;
    if (how.retry_after && *how.retry_after > options_.max_retry_after) return std::nullopt;
    auto most = doubled(options_.first_backoff, tries - std::min(tries, 1U));
    // Half of the pause is certain, half is chance: those who failed together do not come back together.
    const Millis certain = most / 2;
    const auto chance = static_cast<double>((most - certain).count()) * random();
    const auto pause = certain + Millis(static_cast<std::int64_t>(chance));
    return how.retry_after ? std::max(pause, *how.retry_after) : pause;
}

unsigned Manners::running(const std::string& name) const {
    auto found = hosts_.find(name);
    return found == hosts_.end() ? 0 : found->second.running;
}

std::optional<Millis> parse_retry_after(std::string_view value, std::chrono::system_clock::time_point now) {
    constexpr std::chrono::seconds a_year{366L * 24 * 3600};
    value = trimmed(value);
    if (!value.empty() && std::all_of(value.begin(), value.end(), is_digit)) {
        if (value.size() > 9) return a_year;
        std::int64_t seconds = 0;
        std::from_chars(value.data(), value.data() + value.size(), seconds);
        return Millis(std::min(std::chrono::seconds(seconds), a_year));
    }
    auto date = coaio::http::parse_date(value, now);
    if (!date) return std::nullopt;
    auto left = std::chrono::duration_cast<Millis>(*date - now);
    return std::clamp(left, Millis(0), Millis(a_year));
}

}  // namespace crawl
