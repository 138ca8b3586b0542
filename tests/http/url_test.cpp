// SPDX-License-Identifier: MIT
#include <coaio/http/url.hpp>

#include <coaio/http/error.hpp>

#include "support/catch.hpp"

#include <string>

using namespace coaio::http;

TEST_CASE("a URL falls into its parts") {
    auto url = Url::parse("HTTPS://us%65r:p%40ss@Example.ORG:8443/a/b%20c;x?q=1&r#frag");
    CHECK(url.scheme() == "https");
    CHECK(url.user() == "user");
    CHECK(url.password() == "p%40ss");
    CHECK(url.host() == "example.org");
    CHECK(url.port() == 8443);
    CHECK(url.path() == "/a/b%20c;x");
    CHECK(url.query() == "q=1&r");
    CHECK(url.fragment() == "frag");
    CHECK(url.target() == "/a/b%20c;x?q=1&r");
    CHECK(url.origin() == "https://example.org:8443");
    CHECK(url.is_secure());
    CHECK(url.without_fragment().without_credentials().to_string() == "https://example.org:8443/a/b%20c;x?q=1&r");
}

TEST_CASE("a URL is brought to its normal form") {
    const char* pairs[][2] = {
        {"http://example.org", "http://example.org/"},
        {"http://EXAMPLE.org:80/", "http://example.org/"},
        {"https://example.org:443/?", "https://example.org/?"},
        {"http://example.org:/x", "http://example.org/x"},
        {"http://e/a/./b/../c/%2e%2E/d", "http://e/a/d"},
        {"http://e/../../a", "http://e/a"},
        {"http://e/a//b/", "http://e/a//b/"},
        {"http://e/a/..", "http://e/"},
        {"http://e/%7euser/%c3%a4%2f", "http://e/~user/%C3%A4%2F"},
        {"http://e/\xc3\xa4?\xc3\xa4#\xc3\xa4", "http://e/%C3%A4?%C3%A4#%C3%A4"},
        {"http://e/a b?c d", "http://e/a%20b?c%20d"},
        {"http://e/100%", "http://e/100%"},
        {"  http://e/a\n\tb  ", "http://e/ab"},
        {"http:\\\\e\\a\\b?c\\d", "http://e/a/b?c\\d"},
        {"http:e/a", "http://e/a"},
        {"http:////e/a", "http://e/a"},
        {"http://127.1/", "http://127.0.0.1/"},
        {"http://0x7f.0.0.01/", "http://127.0.0.1/"},
        {"http://2130706433/", "http://127.0.0.1/"},
        {"http://[::1]:8080/", "http://[::1]:8080/"},
        {"http://[0:0:0:0:0:FFFF:1.2.3.4]/", "http://[::ffff:102:304]/"},
        {"http://[2001:db8:0:0:1:0:0:1]/", "http://[2001:db8::1:0:0:1]/"},
        {"http://[1::]/", "http://[1::]/"},
        {"http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"},
        {"http://ex%61mple.org/", "http://example.org/"},
        {"mailto:a@b.c", "mailto:a@b.c"},
        {"javascript:void(0)", "javascript:void(0)"},
        {"data:text/html,<p>", "data:text/html,<p>"},
        {"file:///etc/passwd", "file:///etc/passwd"},
        {"wss://e:443/ws", "wss://e/ws"},
    };
    for (auto& [text, normal] : pairs) {
        INFO(text);
        CHECK(Url::parse(text).to_string() == normal);
        CHECK(Url::parse(normal).to_string() == normal);
    }
}

TEST_CASE("a reference is resolved as RFC 3986 section 5.4 says") {
    auto base = Url::parse("http://a/b/c/d;p?q");
    const char* pairs[][2] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"http:g", "http://a/b/c/g"},
        {"https://h:443/x", "https://h/x"},
        {"mailto:x@y", "mailto:x@y"},
        {"\\g", "http://a/g"},
        {"a:b", "a:b"},
        {"./a:b", "http://a/b/c/a:b"},
        {" g ", "http://a/b/c/g"},
    };
    for (auto& [reference, whole] : pairs) {
        INFO(reference);
        CHECK(base.resolve(reference).to_string() == whole);
    }
    CHECK(Url::parse("http://u:p@a:81/x").resolve("//b/y").to_string() == "http://b/y");
    CHECK(Url::parse("http://u:p@a:81/x").resolve("y").to_string() == "http://u:p@a:81/y");
    CHECK(Url::parse("https://a/").resolve("http:x").to_string() == "http://x/");
}

TEST_CASE("what is no URL is refused with a reason") {
    for (const char* text : {"",
                             "/a",
                             "example.org",
                             "//e/a",
                             "http://",
                             "http:///",
                             "http://e:99999/",
                             "http://e:8x/",
                             "http://a b/",
                             "http://[::1/",
                             "http://[1:2:3]/",
                             "http://[::1::]/",
                             "http://[g::]/",
                             "http://256.1.1.1/",
                             "http://1.2.3.4.5/",
                             "http://\xc3\xa4/",
                             "http://%c3%a4/",
                             "http://a%00b/",
                             "http://a<b/",
                             "http://a|b/",
                             "http://:80/",
                             "1http://e/",
                             "http://user@/",
                             "http://%/",
                             "http://[12345::]/",
                             "http://[::1.2.3]/",
                             "http://[:1]/"}) {
        INFO(text);
        CHECK_THROWS_AS(Url::parse(text), UrlError);
        CHECK_FALSE(Url::try_parse(text).has_value());
    }
    CHECK_THROWS_WITH(Url::parse("http://b\xc3\xbc"
                                 "cher.example/"),
                      tests::contains("xn--"));
    CHECK_THROWS_AS(Url::parse("http://e/" + std::string(70000, 'a')), UrlError);
    CHECK_THROWS_AS(Url::parse("mailto:a@b").resolve("c"), UrlError);
    CHECK(Url::parse("mailto:a@b").resolve("#c").to_string() == "mailto:a@b#c");
}

TEST_CASE("percent-encoding and its undoing") {
    CHECK(percent_encode("a b/\xff~") == "a%20b%2F%FF~");
    CHECK(percent_decode("a%20b%2f%FF+") == "a b/\xff+");
    CHECK_FALSE(percent_decode("%").has_value());
    CHECK_FALSE(percent_decode("%4").has_value());
    CHECK_FALSE(percent_decode("%zz").has_value());
    CHECK(percent_decode("%41") == "A");
}

TEST_CASE("a query is read and written as a form") {
    auto items = parse_query("a=1&b=two+words&&c&=x&d=%26%3d%zz&a=2");
    CHECK(items == QueryItems{{"a", "1"}, {"b", "two words"}, {"c", ""}, {"", "x"}, {"d", "&=%zz"}, {"a", "2"}});
    CHECK(build_query({{"a b", "c&d"}, {"\xc3\xa4", "="}}) == "a+b=c%26d&%C3%A4=%3D");
    CHECK(parse_query(std::string(5000, '&') + "a&b", 1).size() == 1);
    CHECK(Url::parse("http://e/a?b").with_query("x y").to_string() == "http://e/a?x%20y");
}

TEST_CASE("a URL tells where to connect") {
    CHECK(Url::parse("http://e/").port_or_default() == 80);
    CHECK(Url::parse("https://e/").port_or_default() == 443);
    CHECK(Url::parse("https://e:80/").port_or_default() == 80);
    CHECK(Url::parse("https://e:80/").authority() == "e:80");
    CHECK(Url::parse("http://[::1]/").host_name() == "::1");
    CHECK(Url::parse("x:y").port_or_default() == 0);
}
