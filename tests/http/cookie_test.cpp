// SPDX-License-Identifier: MIT
#include <coaio/http/cookie.hpp>

#include <coaio/http/error.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <string>

using namespace coaio::http;
using namespace std::chrono;

namespace {

const WallTime now = WallTime(sys_days(2026y / November / 22));

struct Jar {
    CookieJar jar;
    void set(const char* url, const char* header, WallTime when = now) {
        jar.store(Url::parse(url), Headers{{"Set-Cookie", header}}, when);
    }
    std::string get(const char* url, WallTime when = now) { return jar.header_for(Url::parse(url), when); }
};

}  // namespace

TEST_CASE("a Cookie header falls into its pairs") {
    auto pairs = parse_cookies("a=1; b=\"q\";; c ;=x; d=e=f;g=");
    REQUIRE(pairs.size() == 4);
    CHECK(pairs[0] == std::pair<std::string_view, std::string_view>("a", "1"));
    CHECK(pairs[1].second == "\"q\"");
    CHECK(pairs[2].second == "e=f");
    CHECK(pairs[3].second.empty());
    CHECK(parse_cookies("").empty());
}

TEST_CASE("a Set-Cookie is written whole") {
    SetCookie cookie("id", "7");
    CHECK(cookie.to_string() == "id=7");
    cookie.domain("Example.org").path("/a").max_age(60s).expires(WallTime(seconds(784111777))).secure().http_only();
    cookie.same_site(SameSite::lax);
    CHECK(cookie.to_string() == "id=7; Domain=example.org; Path=/a; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT; "
                                "Secure; HttpOnly; SameSite=Lax");
}

TEST_CASE("nothing gets through a cookie into the header") {
    for (const char* value : {"a;b", "a\r\nX: y", "a b", "a,b", "\"a\"", "a\\b", "\xc3\xa4"}) {
        CHECK_THROWS_AS(SetCookie("id", value), HeaderError);
    }
    CHECK_THROWS_AS(SetCookie("", "x"), HeaderError);
    CHECK_THROWS_AS(SetCookie("a=b", "x"), HeaderError);
    CHECK_THROWS_AS(SetCookie("a", std::string(5000, 'x')), HeaderError);
    CHECK_THROWS_AS(SetCookie("a", "x").path("/a; Secure"), HeaderError);
    CHECK_THROWS_AS(SetCookie("a", "x").path("a"), HeaderError);
    CHECK_THROWS_AS(SetCookie("a", "x").domain("a b"), HeaderError);
}

TEST_CASE("a Set-Cookie is read as browsers do") {
    auto cookie =
        SetCookie::parse(" id = a b ; path=/x; DOMAIN=.Example.org;max-age=60; secure ; HttpOnly; SameSite=None; y");
    REQUIRE(cookie);
    CHECK(cookie->name() == "id");
    CHECK(cookie->value() == "a b");
    CHECK(cookie->path() == "/x");
    CHECK(cookie->domain() == "example.org");
    CHECK(cookie->max_age() == 60s);
    CHECK(cookie->is_secure());
    CHECK(cookie->is_http_only());
    CHECK(cookie->same_site() == SameSite::none);
    CHECK_FALSE(SetCookie::parse(""));
    CHECK_FALSE(SetCookie::parse("=x"));
    CHECK_FALSE(SetCookie::parse("noname"));
    CHECK_FALSE(SetCookie::parse(std::string("a=b\0c", 5)));
    CHECK_FALSE(SetCookie::parse("a=" + std::string(5000, 'x')));
    CHECK(SetCookie::parse("a=b; Path=x")->path().empty());
    CHECK(SetCookie::parse("a=b; Max-Age=-5")->max_age() == 0s);
    CHECK_FALSE(SetCookie::parse("a=b; Max-Age=1x")->max_age());
    CHECK(SetCookie::parse("a=b; Max-Age=99999999999999999999")->max_age() == hours(24 * 400));
}

TEST_CASE("a cookie goes back to its host, its path and its time only") {
    Jar jar;
    jar.set("http://example.org/a/b", "x=1");
    CHECK(jar.get("http://example.org/a/") == "x=1");
    CHECK(jar.get("http://example.org/a") == "x=1");
    CHECK(jar.get("http://example.org/ab").empty());
    CHECK(jar.get("http://example.org/").empty());
    CHECK(jar.get("http://www.example.org/a/").empty());
    jar.set("http://example.org/", "y=2; Path=/; Max-Age=10");
    CHECK(jar.get("http://example.org/a/", now) == "x=1; y=2");
    CHECK(jar.get("http://example.org/a/", now + 10s) == "x=1");
    jar.set("http://example.org/a/c", "x=; Max-Age=0; Path=/a");
    CHECK(jar.get("http://example.org/a/").empty());
}

TEST_CASE("a domain covers the hosts below it, and no others") {
    Jar jar;
    jar.set("http://www.example.org/", "a=1; Domain=example.org");
    CHECK(jar.get("http://example.org/") == "a=1");
    CHECK(jar.get("http://x.y.example.org/") == "a=1");
    CHECK(jar.get("http://badexample.org/").empty());
    jar.set("http://www.example.org/", "b=1; Domain=other.org");
    jar.set("http://www.example.org/", "c=1; Domain=org");
    jar.set("http://example.org/", "d=1; Domain=www.example.org");
    jar.set("http://1.2.3.4/", "e=1; Domain=3.4");
    CHECK(jar.jar.size() == 1);
    jar.set("http://1.2.3.4/", "e=1; Domain=1.2.3.4");
    CHECK(jar.get("http://1.2.3.4/") == "e=1");
    jar.set("http://localhost/", "f=1; Domain=localhost");
    CHECK(jar.get("http://localhost/") == "f=1");
    CHECK(jar.get("http://x.localhost/").empty());
}

TEST_CASE("secure cookies stay on TLS, and their prefixes are kept") {
    Jar jar;
    jar.set("http://e.org/", "a=1; Secure");
    CHECK(jar.jar.size() == 0);
    jar.set("https://e.org/", "a=1; Secure; Path=/");
    CHECK(jar.get("https://e.org/") == "a=1");
    CHECK(jar.get("http://e.org/").empty());
    jar.set("http://e.org/", "a=evil; Path=/");
    CHECK(jar.get("https://e.org/") == "a=1");
    jar.set("https://e.org/", "__Secure-a=1");
    jar.set("https://e.org/", "__Host-b=1; Secure; Path=/x");
    jar.set("https://e.org/", "__Host-c=1; Secure; Path=/; Domain=e.org");
    CHECK(jar.jar.size() == 1);
    jar.set("https://e.org/", "__Host-d=1; Secure; Path=/");
    CHECK(jar.jar.size() == 2);
}

TEST_CASE("longer paths come first, then older cookies") {
    Jar jar;
    jar.set("http://e.org/", "a=1; Path=/");
    jar.set("http://e.org/", "b=1; Path=/x");
    jar.set("http://e.org/", "c=1; Path=/");
    jar.set("http://e.org/", "a=2; Path=/");
    CHECK(jar.get("http://e.org/x") == "b=1; a=2; c=1");
}

TEST_CASE("a jar is bounded, and the cookie unused for longest goes first") {
    Jar jar{CookieJar(4, 2)};
    jar.set("http://a.org/", "a=1");
    jar.set("http://a.org/", "b=1");
    CHECK(jar.get("http://a.org/") == "a=1; b=1");
    jar.set("http://a.org/", "c=1");
    CHECK(jar.jar.size() == 2);
    jar.set("http://b.org/", "d=1");
    jar.set("http://c.org/", "e=1");
    jar.set("http://d.org/", "f=1");
    CHECK(jar.jar.size() == 4);
    CHECK(jar.get("http://d.org/") == "f=1");
}
