// SPDX-License-Identifier: MIT
#include <coaio/http/media_type.hpp>

#include "support/catch.hpp"

using namespace coaio::http;

TEST_CASE("a media type falls into its parts") {
    auto media = MediaType::parse("Text/HTML ; Charset=\"UTF-8\"; x; boundary=a\\b; charset=other; q=\"a\\\"b;c\"");
    REQUIRE(media);
    CHECK(media->essence() == "text/html");
    CHECK(media->is("TEXT/html"));
    CHECK_FALSE(media->is("text/htm"));
    CHECK(media->charset() == "utf-8");
    CHECK(media->parameter("BOUNDARY") == "a\\b");
    CHECK(media->parameter("q") == "a\"b;c");
    CHECK_FALSE(media->parameter("x").has_value());
}

TEST_CASE("what is no media type is none") {
    for (const char* text : {"", "text", "text/", "/html", "te xt/html", "text/html/x", ";charset=x"}) {
        CHECK_FALSE(MediaType::parse(text).has_value());
    }
    CHECK(MediaType::parse("text/html;")->charset() == std::nullopt);
    CHECK(MediaType::parse("text/html; charset=\"")->charset() == std::nullopt);
}

TEST_CASE("the best offer is chosen by quality") {
    CHECK(negotiate("gzip, br;q=0.5", {"br", "gzip", "identity"}) == "gzip");
    CHECK(negotiate("br, gzip", {"gzip", "br"}) == "gzip");
    CHECK(negotiate("gzip;q=0, *", {"gzip", "br"}) == "br");
    CHECK(negotiate("", {"gzip", "identity"}) == "identity");
    CHECK(negotiate("identity;q=0, gzip;q=0", {"gzip", "identity"}) == std::nullopt);
    CHECK(negotiate("*;q=0", {"gzip"}) == std::nullopt);
    CHECK(negotiate("GZIP;Q=0.001", {"gzip", "identity"}) == "gzip");
    CHECK(negotiate("deflate", {"gzip"}) == std::nullopt);
}
