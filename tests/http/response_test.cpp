// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include <coaio/http/response.hpp>

#include <coaio/http/error.hpp>

#include "support/catch.hpp"

#include <string>
#include <utility>

using namespace coaio::http;

TEST_CASE("the usual responses") {
    auto text = Response::text("hello");
    CHECK(text.status() == 200);
    CHECK(text.body() == "hello");
    CHECK(text.headers().get("content-type") == "text/plain; charset=utf-8");
    CHECK(Response::html(std::string("<p>"), 202).headers().get("content-type") == "text/html; charset=utf-8");
    CHECK(Response::not_found().status() == Status::not_found);
    CHECK(Response::no_content().status() == 204);
    CHECK(Response::no_content().headers().empty());
    auto there = Response::redirect("/there", 308);
    CHECK(there.status() == 308);
    CHECK(there.headers().get("location") == "/there");
    CHECK_THROWS_AS(Response::redirect("/a\r\nSet-Cookie: x=y"), HeaderError);
}

TEST_CASE("JSON from braces, from a value and from text") {
    auto braces = Response::json({{"id", 7}, {"name", "x"}});
    CHECK(braces.body() == R"({"id":7,"name":"x"})");
    CHECK(braces.headers().get("content-type") == "application/json");
    nlohmann::json value = {1, 2};
    CHECK(Response::json(value, 201).body() == "[1,2]");
    CHECK(Response::json_text("{}").body() == "{}");
}

TEST_CASE("a problem report is JSON, whatever the text") {
    auto report = nlohmann::json::parse(Response::problem(409, "a \"quoted\"\n\x01 \xff \xc3\xa4 \xed\xa0\x80").body());
    CHECK(report["status"] == 409);
    CHECK(report["title"] == "Conflict");
    CHECK(report["type"] == "about:blank");
    CHECK(report["detail"] == "a \"quoted\"\n\x01 \xef\xbf\xbd \xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(Response::problem(404).headers().get("content-type") == "application/problem+json");
    CHECK_FALSE(nlohmann::json::parse(Response::problem(404).body()).contains("detail"));
}

TEST_CASE("a response is built in a chain, and moved") {
    auto response = Response::text("x").status(201).header("A", "1").header("a", "2").cookie(SetCookie("c", "d"));
    CHECK(response.status() == 201);
    CHECK(response.headers().get_all("A") == std::vector<std::string_view>{"2"});
    CHECK(response.headers().get("set-cookie") == "c=d");
    Response moved = std::move(response);
    moved.body("other").header("B", "3");
    CHECK(moved.body() == "other");
    CHECK(moved.headers().size() == 4);
    CHECK_THROWS_AS(moved.header("C", "x\ny"), HeaderError);
}

TEST_CASE("statuses have names and questions") {
    CHECK(Status(404).reason() == "Not Found");
    CHECK(Status(299).reason().empty());
    CHECK(Status(308).is_redirect());
    CHECK_FALSE(Status(304).is_redirect());
    CHECK(Status(304).forbids_body());
    CHECK(Status(101).is_informational());
    CHECK(Status(Status::created) == 201);
}
