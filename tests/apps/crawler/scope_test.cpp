// SPDX-License-Identifier: MIT
#include "crawler/scope.hpp"

#include <string>

#include "support/catch.hpp"

using crawl::LinkKind;
using crawl::Refusal;
using crawl::Scope;
using crawl::ScopeOptions;
using crawl::UrlView;

namespace {

UrlView view(std::string_view whole, std::string_view host, std::string_view path, std::string_view query = {}) {
    UrlView url;
    url.whole = whole;
    url.scheme = whole.substr(0, whole.find(':'));
    url.host = host;
    url.port = url.scheme == "https" ? 443 : 80;
    url.path = path;
    url.query = query;
    return url;
}

UrlView on_host(std::string_view path, std::string_view query = {}) {
    return view("http://example.com/", "example.com", path, query);
}

Refusal admit(Scope& scope, std::string_view path, std::string_view query = {}, unsigned depth = 1) {
    return scope.admit(on_host(path, query), depth, LinkKind::anchor);
}

Scope scope_of(const ScopeOptions& options) {
    Scope scope(options);
    scope.add_start(on_host("/"));
    return scope;
}

}  // namespace

TEST_CASE("the same host at its usual ports is inside, another is not") {
    auto scope = scope_of({});
    CHECK(admit(scope, "/a") == Refusal::none);
    CHECK(scope.is_inside(view("https://EXAMPLE.com/", "EXAMPLE.com", "/")));
    CHECK_FALSE(scope.is_inside(view("http://www.example.com/", "www.example.com", "/")));
    auto other_port = on_host("/");
    other_port.port = 8080;
    CHECK_FALSE(scope.is_inside(other_port));
    CHECK(scope.admit(view("ftp://example.com/", "example.com", "/"), 0, LinkKind::anchor) == Refusal::not_http);
}

TEST_CASE("a site is what can be registered") {
    CHECK(crawl::registrable_domain("www.Example.co.uk.") == "example.co.uk");
    CHECK(crawl::registrable_domain("a.b.example.com") == "example.com");
    CHECK(crawl::registrable_domain("localhost") == "localhost");
    CHECK(crawl::registrable_domain("co.uk") == "co.uk");
    CHECK(crawl::registrable_domain("127.0.0.1") == "127.0.0.1");
    CHECK(crawl::registrable_domain("[::1]") == "[::1]");
    ScopeOptions options;
    options.hosts = crawl::Hosts::same_site;
    auto scope = scope_of(options);
    CHECK(scope.is_inside(view("https://www.example.com/", "www.example.com", "/")));
    CHECK_FALSE(scope.is_inside(view("https://example.org/", "example.org", "/")));
}

TEST_CASE("depth, includes and excludes") {
    ScopeOptions options;
    options.max_depth = 2;
    options.include = {"/docs/*", "*://example.com/"};
    options.exclude = {"*.pdf", "/docs/old*"};
    auto scope = scope_of(options);
    CHECK(admit(scope, "/docs/a", {}, 2) == Refusal::none);
    CHECK(admit(scope, "/docs/a", {}, 3) == Refusal::too_deep);
    CHECK(admit(scope, "/docs/old/x") == Refusal::excluded);
    CHECK(scope.admit(view("http://example.com/docs/a.pdf", "example.com", "/docs/a.pdf"), 1, LinkKind::anchor) ==
          Refusal::excluded);
    CHECK(scope.admit(view("http://example.com/other", "example.com", "/other"), 1, LinkKind::anchor) ==
          Refusal::excluded);
    CHECK(scope.admit(view("http://example.com/start", "example.com", "/start"), 0, LinkKind::start) == Refusal::none);
}

TEST_CASE("a path that repeats itself is a trap") {
    using crawl::repeats_itself;
    CHECK(repeats_itself("/a/b/a/b/a/b/a/b/", 3));
    CHECK(repeats_itself("/x/a/a/a/a/y.html", 3));
    CHECK_FALSE(repeats_itself("/a/b/a/b/a/b/", 3));
    CHECK_FALSE(repeats_itself("/2024/01/01/01/x", 3));
    CHECK_FALSE(repeats_itself("/", 3));
    CHECK_FALSE(repeats_itself("", 3));
    auto scope = scope_of({});
    CHECK(admit(scope, "/a/b/a/b/a/b/a/b/") == Refusal::repeating_path);
    std::string deep;
    for (int i = 0; i < 65; ++i) deep += "/" + std::to_string(i);
    CHECK(admit(scope, deep) == Refusal::repeating_path);
}

TEST_CASE("addresses without end are traps") {
    auto scope = scope_of({});
    std::string whole = "http://example.com/" + std::string(3000, 'a');
    CHECK(scope.admit(view(whole, "example.com", "/"), 1, LinkKind::anchor) == Refusal::too_long);
}

TEST_CASE("a path has so many queries and no more") {
    ScopeOptions options;
    options.max_queries = 3;
    auto scope = scope_of(options);
    for (int i = 0; i < 3; ++i) CHECK(admit(scope, "/calendar", "day=" + std::to_string(i)) == Refusal::none);
    CHECK(admit(scope, "/calendar", "day=4") == Refusal::too_many_queries);
    CHECK(admit(scope, "/other", "day=4") == Refusal::none);
    CHECK(admit(scope, "/calendar") == Refusal::none);
}
