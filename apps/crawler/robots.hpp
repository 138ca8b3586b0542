// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "crawler/glob.hpp"

namespace crawl {

/// What one site's robots.txt says to one crawler (RFC 9309, "Robots Exclusion Protocol").
/// Any bytes are accepted: what cannot be understood is passed over.
class Robots {
public:
    /// How much of a file is read, at least so much says section 2.5.
    static constexpr std::size_t max_size = 500 * 1024;
    static constexpr std::size_t max_sitemaps = 1000;
    static constexpr std::size_t max_pattern = 2048;

    /// Reads a file for the crawler whose product token is `token` ("coaio-crawl"); letter case does not matter.
    /// Groups that name the token are one group; if there is none, those for `*` are.
    [[nodiscard]] static Robots parse(std::string_view text, std::string_view token);
    [[nodiscard]] static Robots allow_all();
    [[nodiscard]] static Robots disallow_all();

    /// What an answer to GET /robots.txt means (section 2.3.1): 2xx is read, 4xx means that there are no rules,
    /// all else, an answer 429 and no answer at all (`status` 0) among it, that nothing may be fetched.
    [[nodiscard]] static Robots from_response(int status, std::string_view body, std::string_view token);

    /// Whether `target`, a path with its query, may be fetched: the longest rule that matches decides, and between
    /// equals the one that allows. /robots.txt itself always may.
    [[nodiscard]] bool allows(std::string_view target) const;

    /// The line `crawl-delay:`, which the RFC does not know but sites use. At most a day.
    [[nodiscard]] std::optional<std::chrono::milliseconds> crawl_delay() const noexcept { return crawl_delay_; }

    /// The addresses of the lines `sitemap:`, whichever group they stand in.
    [[nodiscard]] const std::vector<std::string>& sitemaps() const noexcept { return sitemaps_; }

private:
    struct Rule {
        Glob pattern;
        std::size_t size;
        bool allow;
    };
    struct Group {
        std::vector<Rule> rules;
        std::optional<std::chrono::milliseconds> crawl_delay;
        bool named = false;
    };
    friend class RobotsParser;

    std::vector<Rule> rules_;  // longest first, allowing ones before others
    std::vector<std::string> sitemaps_;
    std::optional<std::chrono::milliseconds> crawl_delay_;
    bool disallow_all_ = false;
};

/// The path and query as section 2.2.2 wants them compared: what RFC 3986 calls unreserved is plain, the rest keeps
/// or gets its percent-encoding, with capital digits. With `pattern`, `*` and `$` stay what they are.
[[nodiscard]] std::string robots_normalised(std::string_view target, bool pattern);

/// The rules of many sites, each for a day (section 2.4), or for less where the site could not be reached.
/// Bounded: when it is full, the oldest go.
class RobotsCache {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::hours lifetime{24};
    static constexpr std::chrono::minutes unreachable_lifetime{10};

    explicit RobotsCache(std::size_t max_sites = 10'000) : max_sites_(max_sites) {}

    /// The rules of `origin` ("https://example.com:8443"); null if they have to be fetched (again).
    /// The pointer is good until the next `put`.
    [[nodiscard]] const Robots* find(const std::string& origin, TimePoint now) const;

    /// Keeps the rules drawn from an answer. Where the site cannot be reached but rules were known, those go on.
    const Robots& put(const std::string& origin, int status, std::string_view body, std::string_view token,
                      TimePoint now);

    [[nodiscard]] std::size_t size() const noexcept { return sites_.size(); }

private:
    struct Entry {
        Robots robots;
        TimePoint stored;
        TimePoint expires;
        bool reached = false;
    };
    void make_room();

    std::unordered_map<std::string, Entry> sites_;
    std::size_t max_sites_;
};

}  // namespace crawl
