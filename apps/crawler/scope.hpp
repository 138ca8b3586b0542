// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <coaio/http/url.hpp>

#include "crawler/glob.hpp"
#include "crawler/link.hpp"

namespace crawl {

/// The parts of a normalised absolute URL that decisions are made on; views into it.
struct UrlView {
    std::string_view whole;  // without the fragment
    std::string_view scheme;
    std::string_view host;
    std::uint16_t port = 0;  // the scheme's own if the URL names none
    std::string_view path;
    std::string_view query;
};

/// Which hosts belong to the crawl.
enum class Hosts : std::uint8_t {
    same_host,  // host and port of a start URL; http and https at their usual ports are one
    same_site,  // the registrable domain of a start URL ("example.co.uk"), by the public suffix list
};

/// `whole` is `url` as text, and outlives the view, as `url` does.
[[nodiscard]] UrlView view_of(const coaio::http::Url& url, std::string_view whole);

struct ScopeOptions {
    std::size_t max_pages = 10'000;  // 0: as many as there are
    unsigned max_depth = 0;          // 0: as deep as it goes
    Hosts hosts = Hosts::same_host;
    bool check_external = false;       // let addresses of other hosts in, to be asked for once and not read
    std::vector<std::string> include;  // globs; if there are any, one must match
    std::vector<std::string> exclude;  // globs; none may match
    std::size_t max_url_size = 2048;
    std::size_t max_segments = 64;
    std::size_t max_repeats = 3;     // of the same run of path segments, one after the other
    std::size_t max_queries = 1000;  // different queries of one path
};

/// Why an address is not fetched.
enum class Refusal : std::uint8_t {
    none,
    not_http,
    other_host,
    too_deep,
    excluded,
    too_long,
    repeating_path,
    too_many_queries,
};

/// A few words for a report.
[[nodiscard]] std::string_view describe(Refusal refusal) noexcept;

/// What belongs to a crawl, and what is a trap: paths that repeat themselves, addresses without end, calendars that
/// make up query after query.
///
/// A glob (`*` any run of bytes, all else itself) that starts with `/` is matched against path and query, any other
/// against the whole URL without its fragment; both from the start to the end. So: `/docs/*`, `*.pdf`, `*://host/*`.
class Scope {
public:
    explicit Scope(const ScopeOptions& options);

    /// A start URL: its host, or site, belongs to the crawl.
    void add_start(const UrlView& url);

    /// Decides about an address seen for the first time, and counts it where it is let in.
    [[nodiscard]] Refusal admit(const UrlView& url, unsigned depth, LinkKind kind);

    /// So many addresses that differ from this one in their queries were let in before.
    void add_queries(const UrlView& url, std::size_t count);

    /// Whether the host belongs to the crawl.
    [[nodiscard]] bool is_inside(const UrlView& url) const;

    [[nodiscard]] const ScopeOptions& options() const noexcept { return options_; }

private:
    struct Pattern {
        Glob glob;
        bool path_only;
    };
    static std::vector<Pattern> compile(const std::vector<std::string>& globs);
    static bool any_matches(const std::vector<Pattern>& patterns, const UrlView& url);

    ScopeOptions options_;
    std::vector<Pattern> include_;
    std::vector<Pattern> exclude_;
    std::vector<std::string> starts_;
    std::unordered_map<std::size_t, std::size_t> queries_;  // by hash of what precedes the query
};

/// Whether a run of segments stands in `path` more than `max_repeats` times without a pause: "/a/b/a/b/a/b/a/b/".
[[nodiscard]] bool repeats_itself(std::string_view path, std::size_t max_repeats);

/// "example.co.uk" of "www.example.co.uk", by the public suffix list that libpsl brings; an IP address, a name of one
/// label and a public suffix itself are returned as they are.
[[nodiscard]] std::string registrable_domain(std::string_view host);

}  // namespace crawl
