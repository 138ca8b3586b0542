// SPDX-License-Identifier: MIT
#include "crawler/scope.hpp"

#include <algorithm>
#include <functional>

#include <libpsl.h>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

bool is_ip_address(std::string_view host) {
    if (host.empty() || host.front() == '[' || host.find(':') != std::string_view::npos) return true;
    auto last = host.substr(host.rfind('.') + 1);
    return !last.empty() && std::all_of(last.begin(), last.end(), is_digit);
}

std::string host_key(const UrlView& url) {
    bool usual = (url.scheme == "http" && url.port == 80) || (url.scheme == "https" && url.port == 443);
    return lower(url.host) + ":" + (usual ? std::string("usual") : std::to_string(url.port));
}

std::size_t path_key(const UrlView& url) {
    return std::hash<std::string_view>()(url.path) * 31 + std::hash<std::string_view>()(url.host);
}

std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> found;
    while (!path.empty()) {
        path.remove_prefix(1);
        auto end = std::min(path.find('/'), path.size());
        found.push_back(path.substr(0, end));
        path.remove_prefix(end);
    }
    return found;
}

}  // namespace

UrlView view_of(const coaio::http::Url& url, std::string_view whole) {
    UrlView view;
    view.whole = whole;
    view.scheme = url.scheme();
    view.host = url.host();
    view.port = url.port_or_default();
    view.path = url.path();
    if (url.query()) view.query = *url.query();
    return view;
}

std::string_view describe(Refusal refusal) noexcept {
    switch (refusal) {
    case Refusal::none: return "inside";
    case Refusal::not_http: return "not http or https";
    case Refusal::other_host: return "another host";
    case Refusal::too_deep: return "too deep";
    case Refusal::excluded: return "excluded";
    case Refusal::too_long: return "URL too long";
    case Refusal::repeating_path: return "path repeats itself";
    case Refusal::too_many_queries: return "too many queries of one path";
    }
    return "?";
}

Scope::Scope(const ScopeOptions& options)
    : options_(options), include_(compile(options.include)), exclude_(compile(options.exclude)) {}

std::vector<Scope::Pattern> Scope::compile(const std::vector<std::string>& globs) {
    std::vector<Pattern> patterns;
    patterns.reserve(globs.size());
    for (const auto& glob : globs) patterns.push_back({Glob(glob), !glob.empty() && glob.front() == '/'});
    return patterns;
}

bool Scope::any_matches(const std::vector<Pattern>& patterns, const UrlView& url) {
    if (patterns.empty()) return false;
    std::string path(url.path);
    if (!url.query.empty()) path.append("?").append(url.query);
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const Pattern& each) { return each.glob.matches(each.path_only ? path : url.whole); });
}

void Scope::add_start(const UrlView& url) {
    starts_.push_back(options_.hosts == Hosts::same_host ? host_key(url) : registrable_domain(url.host));
}

bool Scope::is_inside(const UrlView& url) const {
    auto key = options_.hosts == Hosts::same_host ? host_key(url) : registrable_domain(url.host);
    return std::find(starts_.begin(), starts_.end(), key) != starts_.end();
}

void Scope::add_queries(const UrlView& url, std::size_t count) { queries_[path_key(url)] += count; }

Refusal Scope::admit(const UrlView& url, unsigned depth, LinkKind kind) {
    if (url.scheme != "http" && url.scheme != "https") return Refusal::not_http;
    if (url.whole.size() > options_.max_url_size) return Refusal::too_long;
    bool inside = is_inside(url);
    if (!inside && !options_.check_external) return Refusal::other_host;
    bool start = kind == LinkKind::start;
    if (inside && options_.max_depth != 0 && depth > options_.max_depth) return Refusal::too_deep;
    if (!start && any_matches(exclude_, url)) return Refusal::excluded;
    if (inside && !start && !include_.empty() && !any_matches(include_, url)) return Refusal::excluded;
    if (static_cast<std::size_t>(std::count(url.path.begin(), url.path.end(), '/')) > options_.max_segments ||
        repeats_itself(url.path, options_.max_repeats)) {
        return Refusal::repeating_path;
    }
    if (!url.query.empty()) {
        auto& count = queries_[path_key(url)];
        if (count >= options_.max_queries) return Refusal::too_many_queries;
        ++count;
    }
    return Refusal::none;
}

bool repeats_itself(std::string_view path, std::size_t max_repeats) {
    auto segments = segments_of(path);
    constexpr std::size_t longest_looked_at = 128;
    if (segments.size() > longest_looked_at) return true;
    for (std::size_t period = 1; period * (max_repeats + 1) <= segments.size(); ++period) {
        std::size_t same = 0;
        for (std::size_t i = period; i < segments.size(); ++i) {
            same = segments[i] == segments[i - period] ? same + 1 : 0;
            if (same >= period * max_repeats) return true;
        }
    }
    return false;
}

std::string registrable_domain(std::string_view host) {
    auto name = lower(host);
    if (!name.empty() && name.back() == '.') name.pop_back();
    if (is_ip_address(name)) return name;
    const char* found = psl_registrable_domain(psl_builtin(), name.c_str());
    return found == nullptr ? name : std::string(found);
}

}  // namespace crawl
