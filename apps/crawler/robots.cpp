// SPDX-License-Identifier: MIT
#include "crawler/robots.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool is_token_char(char c) { return is_alpha(c) || c == '-' || c == '_'; }

std::string_view leading_token(std::string_view value) {
    std::size_t end = 0;
    while (end < value.size() && is_token_char(value[end])) ++end;
    return value.substr(0, end);
}

// from_chars for double reads no locale, but takes "inf" and "nan": only digits and a point come here.
std::optional<std::chrono::milliseconds> read_delay(std::string_view value) {
    constexpr double a_day = 86'400;
    if (value.empty() || !is_digit(value.front())) return std::nullopt;
    double seconds = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds, std::chars_format::fixed);
    if (error == std::errc::result_out_of_range) seconds = a_day;
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(seconds, a_day) * 1000));
}

void append_encoded(std::string& out, unsigned char byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
}

}  // namespace

std::string robots_normalised(std::string_view target, bool pattern) {
    std::string out;
    out.reserve(target.size());
    for (std::size_t i = 0; i < target.size(); ++i) {
        char c = target[i];
        if (c == '%' && i + 2 < target.size() && is_hex_digit(target[i + 1]) && is_hex_digit(target[i + 2])) {
            int value = hex_value(target[i + 1]) * 16 + hex_value(target[i + 2]);
            char decoded = static_cast<char>(value);
            if (value < 0x80 && is_unreserved(decoded)) {
                out += decoded;
            } else {
                append_encoded(out, static_cast<unsigned char>(value));
            }
            i += 2;
        } else if (c <= ' ' || c >= 0x7f || (!pattern && (c == '*' || c == '$'))) {
            append_encoded(out, static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out;
}

// One pass over the lines. A group is a run of user-agent lines and the rules up to the next such run.
class RobotsParser {
public:
    explicit RobotsParser(std::string_view token) : token_(token) {}

    Robots parse(std::string_view text) {
        if (text.substr(0, byte_order_mark.size()) == byte_order_mark) text.remove_prefix(byte_order_mark.size());
        if (text.size() > Robots::max_size) {
            auto end = text.substr(0, Robots::max_size).find_last_of("\r\n");
            text = text.substr(0, end == std::string_view::npos ? Robots::max_size : end);
        }
        while (!text.empty()) {
            auto end = text.find_first_of("\r\n");
            line(text.substr(0, end));
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
        return finish();
    }

private:
    void line(std::string_view text) {
        text = text.substr(0, text.find('#'));
        auto colon = text.find(':');
        if (colon == std::string_view::npos) return;
        auto key = trimmed(text.substr(0, colon));
        auto value = trimmed(text.substr(colon + 1));
        if (equal_ignoring_case(key, "user-agent")) {
            agent(value);
        } else if (equal_ignoring_case(key, "allow")) {
            rule(value, true);
        } else if (equal_ignoring_case(key, "disallow")) {
            rule(value, false);
        } else if (equal_ignoring_case(key, "crawl-delay")) {
            in_agents_ = false;
            auto delay = read_delay(value);
            for_each_group([&](Robots::Group& group) {
                if (delay && !group.crawl_delay) group.crawl_delay = delay;
            });
        } else if (equal_ignoring_case(key, "sitemap")) {
            if (!value.empty() && robots_.sitemaps_.size() < Robots::max_sitemaps)
                robots_.sitemaps_.emplace_back(value);
        }
    }

    void agent(std::string_view value) {
        if (!in_agents_) for_us_ = for_all_ = false;
        in_agents_ = true;
        if (value == "*") {
            for_all_ = all_.named = true;
        } else if (!token_.empty() && equal_ignoring_case(leading_token(value), token_)) {
            for_us_ = us_.named = true;
        }
    }

    void rule(std::string_view value, bool allow) {
        in_agents_ = false;
        if (value.empty() || value.size() > Robots::max_pattern || (!for_us_ && !for_all_)) return;
        bool to_the_end = value.back() == '$';
        if (to_the_end) value.remove_suffix(1);
        auto pattern = robots_normalised(value, true);
        Glob glob(pattern, to_the_end ? Glob::End::at_the_end : Glob::End::anywhere);
        for_each_group(
            [&](Robots::Group& group) { group.rules.push_back({glob, pattern.size() + (to_the_end ? 1 : 0), allow}); });
    }

    template <class Function>
    void for_each_group(Function function) {
        if (for_us_) function(us_);
        if (for_all_) function(all_);
    }

    Robots finish() {
        auto& chosen = us_.named ? us_ : all_;
        robots_.rules_ = std::move(chosen.rules);
        robots_.crawl_delay_ = chosen.crawl_delay;
        std::sort(robots_.rules_.begin(), robots_.rules_.end(), [](const auto& a, const auto& b) {
            return a.size != b.size ? a.size > b.size : a.allow && !b.allow;
        });
        return std::move(robots_);
    }

    std::string_view token_;
    Robots robots_;
    Robots::Group us_;
    Robots::Group all_;
    bool in_agents_ = false;
    bool for_us_ = false;
    bool for_all_ = false;
};

Robots Robots::parse(std::string_view text, std::string_view token) { return RobotsParser(token).parse(text); }

Robots Robots::allow_all() { return {}; }

Robots Robots::disallow_all() {
    Robots robots;
    robots.disallow_all_ = true;
    return robots;
}

Robots Robots::from_response(int status, std::string_view body, std::string_view token) {
    if (status >= 200 && status < 300) return parse(body, token);
    if (status >= 300 && status < 500 && status != 429) return allow_all();
    return disallow_all();
}

bool Robots::allows(std::string_view target) const {
    target = target.substr(0, target.find('#'));
    if (target == "/robots.txt") return true;
    if (disallow_all_) return false;
    if (rules_.empty()) return true;
    auto normal = robots_normalised(target.empty() ? "/" : target, false);
    for (const auto& rule : rules_) {
        if (rule.pattern.matches(normal)) return rule.allow;
    }
    return true;
}

const Robots* RobotsCache::find(const std::string& origin, TimePoint now) const {
    auto found = sites_.find(origin);
    if (found == sites_.end() || now >= found->second.expires) return nullptr;
    return &found->second.robots;
}

const Robots& RobotsCache::put(const std::string& origin, int status, std::string_view body, std::string_view token,
                               TimePoint now) {
    bool reached = status >= 200 && status < 500 && status != 429;
    auto found = sites_.find(origin);
    if (found == sites_.end()) {
        if (sites_.size() >= max_sites_) make_room();
        found = sites_.try_emplace(origin).first;
    }
    auto& entry = found->second;
    if (reached || !entry.reached) entry.robots = Robots::from_response(status, body, token);
    entry.reached = entry.reached || reached;
    entry.stored = now;
    entry.expires = now + (reached ? std::chrono::seconds(lifetime) : std::chrono::seconds(unreachable_lifetime));
    return entry.robots;
}

void RobotsCache::make_room() {
    std::vector<std::pair<TimePoint, std::string>> ages;
    ages.reserve(sites_.size());
    for (const auto& [origin, entry] : sites_) ages.emplace_back(entry.stored, origin);
    auto keep = ages.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(ages.size() / 8, 1));
    std::nth_element(ages.begin(), keep - 1, ages.end());
    for (auto each = ages.begin(); each != keep; ++each) sites_.erase(each->second);
}

}  // namespace crawl
