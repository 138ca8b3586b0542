// SPDX-License-Identifier: MIT
#include <coaio/http/router.hpp>

#include "route_tree.hpp"

#include <coaio/core/run.hpp>
#include <coaio/http/error.hpp>

#include "http/support.hpp"
#include "support/catch.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace coaio::http;
using coaio::Coro;
using coaio::http::detail::PathParams;
using coaio::http::detail::RouteTree;
using tests::FakeRequest;

namespace {

// "pattern name=value …", or what went wrong
std::string found(const RouteTree& tree, std::string_view method, std::string_view path) {
    PathParams params;
    auto match = tree.find(method, path, params);
    switch (match.outcome) {
    case RouteTree::Outcome::no_path: return "no path";
    case RouteTree::Outcome::no_method: return "no method";
    case RouteTree::Outcome::bad_path: return "bad path";
    case RouteTree::Outcome::found: break;
    }
    std::string out(tree.pattern(match.route));
    for (const auto& [name, value] : params.items) out += " " + std::string(name) + "=" + std::string(value);
    return out + (match.head_as_get ? " (head)" : "");
}

Response answer(const Router& router, FakeRequest& fake) { return coaio::run(router.handle(fake.request)); }

}  // namespace

TEST_CASE("plain text goes before a name, and a name before the rest") {
    RouteTree tree;
    for (const char* pattern : {"/", "/users", "/users/", "/users/{id}", "/users/me", "/users/{id}/posts/{post}",
                                "/users/me/settings", "/files/{path...}", "/files/{name}/meta", "/{x}/y", "/a b/{z}"}) {
        tree.add("GET", pattern);
    }
    CHECK(found(tree, "GET", "/") == "/");
    CHECK(found(tree, "GET", "/users") == "/users");
    CHECK(found(tree, "GET", "/users/") == "/users/");
    CHECK(found(tree, "GET", "/users/7") == "/users/{id} id=7");
    CHECK(found(tree, "GET", "/users/me") == "/users/me");
    CHECK(found(tree, "GET", "/users/me/posts/3") == "/users/{id}/posts/{post} id=me post=3");
    CHECK(found(tree, "GET", "/users/me/settings") == "/users/me/settings");
    CHECK(found(tree, "GET", "/users//posts/3") == "no path");
    CHECK(found(tree, "GET", "/files/") == "/files/{path...} path=");
    CHECK(found(tree, "GET", "/files") == "no path");
    CHECK(found(tree, "GET", "/files/a/b//c") == "/files/{path...} path=a/b//c");
    CHECK(found(tree, "GET", "/files/a/meta") == "/files/{name}/meta name=a");
    CHECK(found(tree, "GET", "/q/y") == "/{x}/y x=q");
    CHECK(found(tree, "GET", "/q/z") == "no path");
    CHECK(found(tree, "GET", "/a%20b/c") == "/a b/{z} z=c");
    CHECK(found(tree, "GET", "") == "no path");
    CHECK(found(tree, "OPTIONS", "*") == "no path");
}

TEST_CASE("values are decoded, and never lead out of a folder") {
    RouteTree tree;
    tree.add("GET", "/f/{path...}");
    tree.add("GET", "/n/{name}");
    CHECK(found(tree, "GET", "/n/a%2Fb%20c") == "/n/{name} name=a/b c");
    CHECK(found(tree, "GET", "/f/%61/%62") == "/f/{path...} path=a/b");
    CHECK(found(tree, "GET", "/f/a/..b/c..") == "/f/{path...} path=a/..b/c..");
    for (const char* path :
         {"/f/..", "/f/../x", "/f/a/../../x", "/f/%2e%2e/x", "/f/%2e./x", "/f/a%2f..%2f..", "/f/a%5c..%5cx",
          "/f/a\\..\\x", "/n/..", "/n/%2e%2e", "/n/a%00b", "/n/%", "/n/%4", "/n/%zz"}) {
        INFO(path);
        CHECK(found(tree, "GET", path) == "bad path");
    }
}

TEST_CASE("methods: HEAD by GET, any, and the way on where the better path has another") {
    RouteTree tree;
    tree.add("GET", "/x/me");
    tree.add("POST", "/x/{id}");
    tree.add("HEAD", "/h");
    tree.add("GET", "/h");
    tree.add("*", "/any");
    tree.add("PUT", "/any");
    CHECK(found(tree, "HEAD", "/x/me") == "/x/me (head)");
    CHECK(found(tree, "HEAD", "/h") == "/h");
    CHECK(found(tree, "POST", "/x/me") == "/x/{id} id=me");
    CHECK(found(tree, "DELETE", "/x/me") == "no method");
    CHECK(found(tree, "BREW", "/any") == "/any");
    PathParams scratch;
    CHECK(tree.allowed("/x/me", scratch) == "GET, HEAD, POST, OPTIONS");
    CHECK(tree.allowed("/x/1", scratch) == "POST, OPTIONS");
    CHECK(tree.allowed("/none", scratch).empty());
}

TEST_CASE("a pattern that is broken or there already is refused") {
    RouteTree tree;
    tree.add("GET", "/a/{id}");
    for (const char* pattern :
         {"", "a", "/{", "/}", "/{}", "/x{id}", "/{id}x", "/{a b}", "/{...}", "/{p...}/x", "/{a}/{a}"}) {
        INFO(pattern);
        CHECK_THROWS_AS(tree.add("GET", pattern), coaio::ValueError);
    }
    CHECK_THROWS_AS(tree.add("GET", "/a/{other}"), coaio::ValueError);
    CHECK_THROWS_AS(tree.add("G T", "/b"), coaio::ValueError);
    CHECK_NOTHROW(tree.add("POST", "/a/{other}"));
}

TEST_CASE("a router calls the handler of the route, which may have captures") {
    Router app;
    auto greeting = std::make_unique<std::string>("hello ");
    app.get("/hello/{name}", [greeting = std::move(greeting)](Request& request) -> Coro<Response> {
        co_return Response::text(*greeting + request.param<std::string>("name"));
    });
    app.post("/n/{id}", [](Request& request) -> Coro<Response> {
        auto id = request.param<int>("id");
        co_return Response::text(std::to_string(id + 1) + std::string(request.route()));
    });
    auto hello = FakeRequest::of("GET /hello/w%C3%B6rld");
    CHECK(answer(app, hello).body() == "hello w\xc3\xb6rld");
    auto post = FakeRequest::of("POST /n/41");
    CHECK(answer(app, post).body() == "42/n/{id}");
    auto bad = FakeRequest::of("POST /n/x");
    CHECK_THROWS_AS(answer(app, bad), BadRequest);
    CHECK_THROWS_AS(hello.request.param("other"), coaio::ValueError);
}

TEST_CASE("a router answers what has no handler") {
    Router app;
    app.get("/a", [](Request&) -> Coro<Response> { co_return Response::text("a"); });
    auto none = FakeRequest::of("GET /b");
    CHECK(answer(app, none).status() == 404);
    auto wrong = FakeRequest::of("POST /a");
    auto refused = answer(app, wrong);
    CHECK(refused.status() == 405);
    CHECK(refused.headers().get("Allow") == "GET, HEAD, OPTIONS");
    auto options = FakeRequest::of("OPTIONS /a");
    auto allowed = answer(app, options);
    CHECK(allowed.status() == 204);
    CHECK(allowed.headers().get("Allow") == "GET, HEAD, OPTIONS");
    auto server = FakeRequest::of("OPTIONS *");
    CHECK(answer(app, server).status() == 204);
    auto broken = FakeRequest::of("GET /%zz");
    CHECK(answer(app, broken).status() == 400);
    auto head = FakeRequest::of("HEAD /a");
    CHECK(answer(app, head).body() == "a");
}

TEST_CASE("middleware stands around handlers and refusals, the first outermost, and may answer itself") {
    Router app;
    std::vector<std::string> order;
    app.get("/a", [&order](Request&) -> Coro<Response> {
        order.push_back("handler");
        co_return Response::text("a");
    });
    app.use([&order](Request& request, Next next) -> Coro<Response> {
        order.push_back("outer in " + std::string(request.route()));
        auto response = co_await next(request);
        order.push_back("outer out " + std::to_string(response.status().code()));
        co_return response;
    });
    app.use([](Request& request, Next next) -> Coro<Response> {
        if (request.header("X-Stop")) co_return Response(Status::forbidden);
        auto response = co_await next(request);
        response.header("X-Inner", "yes");
        co_return response;
    });
    auto good = FakeRequest::of("GET /a");
    CHECK(answer(app, good).headers().get("X-Inner") == "yes");
    CHECK(order == std::vector<std::string>{"outer in /a", "handler", "outer out 200"});
    order.clear();
    auto none = FakeRequest::of("GET /b");
    CHECK(answer(app, none).status() == 404);
    CHECK(order == std::vector<std::string>{"outer in ", "outer out 404"});
    auto stopped = FakeRequest::of("GET /a", "X-Stop: 1\r\n");
    CHECK(answer(app, stopped).status() == 403);
}
