// SPDX-License-Identifier: MIT
#include "crawler/charset.hpp"

#include <random>
#include <string>

#include "support/catch.hpp"

using crawl::detect_charset;
using crawl::TextKind;
using crawl::to_utf8;

namespace {

std::string detect(std::string_view body, std::string_view content_type = "text/html") {
    return detect_charset(body, content_type, TextKind::html);
}

}  // namespace

TEST_CASE("a byte order mark goes before all else") {
    CHECK(detect("\xEF\xBB\xBFx", "text/html; charset=latin1") == "UTF-8");
    CHECK(detect(std::string_view("\xFF\xFEx\0", 4)) == "UTF-16LE");
    CHECK(detect(std::string_view("\xFE\xFF\0x", 4)) == "UTF-16BE");
}

TEST_CASE("the content type goes before the document") {
    CHECK(detect("<meta charset=utf-8>", "text/html; charset=ISO-8859-2") == "ISO-8859-2");
    CHECK(detect("<meta charset=utf-8>", "text/html; charset=\"KOI8-R\"") == "KOI8-R");
    CHECK(detect("<meta charset=koi8-r>", "text/html; charset=nonsense") == "KOI8-R");
}

TEST_CASE("a meta within 1024 bytes names the encoding") {
    CHECK(detect("<html><meta charset='shift_jis'>") == "CP932");
    CHECK(detect("<META http-equiv=Content-Type content='text/html; charset=koi8-r'>") == "KOI8-R");
    CHECK(detect("<meta content='text/html; charset=koi8-r'>\xFF") == "WINDOWS-1252");
    CHECK(detect("<!-- <meta charset=koi8-r> -->\xFF") == "WINDOWS-1252");
    CHECK(detect("<meta charset=utf-16le>") == "UTF-8");
    CHECK(detect(std::string(1024, ' ') + "<meta charset=koi8-r>\xFF") == "WINDOWS-1252");
}

TEST_CASE("without a word about it, valid UTF-8 is UTF-8 and the rest is windows-1252") {
    CHECK(detect("gr\xC3\xBC\xC3\x9F") == "UTF-8");
    CHECK(detect("gr\xFC\xDF") == "WINDOWS-1252");
    CHECK(detect("x", "text/html; charset=us-ascii") == "WINDOWS-1252");
}

TEST_CASE("text becomes UTF-8") {
    CHECK(to_utf8("gr\xFC\xDF \x80", "iso-8859-1") == "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC");
    CHECK(to_utf8("\xEF\xBB\xBFx", "UTF-8") == "x");
    CHECK(to_utf8(std::string_view("\xFF\xFEx\0", 4), "UTF-16LE") == "x");
    CHECK(to_utf8("\x83\x65", "Shift_JIS") == "\xE3\x83\x86");
    CHECK(to_utf8("\xFC", "no-such-thing") == "\xC3\xBC");
    CHECK(to_utf8("", "UTF-8").empty());
}

TEST_CASE("what cannot be read becomes U+FFFD") {
    CHECK(to_utf8("a\xFF"
                  "b",
                  "UTF-8") == "a\xEF\xBF\xBD"
                              "b");
    CHECK(to_utf8("a\xE2\x82", "UTF-8") == "a\xEF\xBF\xBD");
    CHECK(to_utf8(std::string_view("a\0\0\xD8"
                                   "b\0",
                                   6),
                  "UTF-16LE") == "a\xEF\xBF\xBD"
                                 "b");
}

TEST_CASE("whatever the bytes and the encoding, the result is valid UTF-8") {
    std::mt19937 random(3);
    for (const char* charset : {"UTF-8", "UTF-16LE", "Shift_JIS", "gbk", "ISO-2022-JP", "big5", "windows-1253"}) {
        for (int round = 0; round < 300; ++round) {
            std::string text;
            for (unsigned i = 0; i < random() % 100; ++i) text += static_cast<char>(random() % 256);
            auto out = to_utf8(text, charset);
            REQUIRE(crawl::is_valid_utf8(out));
        }
    }
}

TEST_CASE("UTF-8 is checked to the letter") {
    using crawl::is_valid_utf8;
    CHECK(is_valid_utf8("\xF4\x8F\xBF\xBF"));
    CHECK_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));
    CHECK_FALSE(is_valid_utf8("\xED\xA0\x80"));
    CHECK_FALSE(is_valid_utf8("\xC0\x80"));
    CHECK_FALSE(is_valid_utf8("\xE0\x80\x80"));
    CHECK_FALSE(is_valid_utf8("\x80"));
    CHECK_FALSE(is_valid_utf8("a\xE2\x82"));
}

TEST_CASE("a text is never cut within a character") {
    CHECK(crawl::utf8_prefix("a\xE2\x82\xAC"
                             "b",
                             3) == "a");
    CHECK(crawl::utf8_prefix("a\xE2\x82\xAC"
                             "b",
                             4) == "a\xE2\x82\xAC");
    CHECK(crawl::utf8_prefix("abc", 9) == "abc");
}

TEST_CASE("parameters of a header") {
    using crawl::header_parameter;
    CHECK(header_parameter("text/html; a=\";charset=x\"; Charset=utf-8", "charset") == "utf-8");
    CHECK(header_parameter("text/html;;charset", "charset").empty());
    CHECK(header_parameter("text/html;charset=\"x", "charset") == "x");
    CHECK(crawl::media_type(" Text/HTML ;charset=x") == "text/html");
}
