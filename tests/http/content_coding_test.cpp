// SPDX-License-Identifier: MIT
#include <coaio/http/content_coding.hpp>

#include <coaio/http/error.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <brotli/encode.h>
#include <zlib.h>

using namespace coaio::http;

namespace {

std::string deflated(const std::string& text, int window_bits) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, text.size()) + 64, '\0');
    std::string in = text;
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string gzipped(const std::string& text) { return deflated(text, 16 + 15); }

std::string brotlied(const std::string& text) {
    std::size_t size = BrotliEncoderMaxCompressedSize(text.size());
    std::vector<std::uint8_t> out(size == 0 ? 16 : size);
    size = out.size();
    BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, text.size(), reinterpret_cast<const std::uint8_t*>(text.data()),
                          &size, out.data());
    return {reinterpret_cast<const char*>(out.data()), size};
}

std::string decoded(const std::string& coding, const std::string& bytes, std::size_t piece = SIZE_MAX,
                    std::uint64_t limit = UINT64_MAX) {
    ContentDecoder decoder(coding, limit);
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        auto part = std::string_view(bytes).substr(at, piece);
        decoder.decode(part, out);
        at += part.size();
    }
    decoder.finish();
    return out;
}

std::string sample() {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += "line " + std::to_string(i * i) + "\n";
    return text;
}

}  // namespace

TEST_CASE("each coding is undone, in one piece and byte by byte") {
    auto text = sample();
    for (std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{777}}) {
        CHECK(decoded("gzip", gzipped(text), piece) == text);
        CHECK(decoded("X-GZIP", gzipped(text), piece) == text);
        CHECK(decoded("deflate", deflated(text, 15), piece) == text);
        CHECK(decoded("deflate", deflated(text, -15), piece) == text);
        CHECK(decoded("br", brotlied(text), piece) == text);
        CHECK(decoded("identity", text, piece) == text);
        CHECK(decoded("", text, piece) == text);
        CHECK(decoded("gzip, br", brotlied(gzipped(text)), piece) == text);
    }
}

TEST_CASE("gzip may have several members, and padding behind them") {
    CHECK(decoded("gzip", gzipped("one ") + gzipped("two"), 1) == "one two");
    CHECK(decoded("gzip", gzipped("one") + std::string(10, '\0')) == "one");
}

TEST_CASE("an empty body is whole, a cut one is not") {
    CHECK(decoded("gzip", "").empty());
    CHECK(decoded("gzip", gzipped("")).empty());
    CHECK(decoded("br", brotlied("")).empty());
    for (const auto& [coding, whole] :
         std::vector<std::pair<std::string, std::string>>{{"gzip", gzipped("hello, hello")},
                                                          {"deflate", deflated("hello, hello", 15)},
                                                          {"br", brotlied("hello, hello")}}) {
        for (std::size_t size = 1; size < whole.size(); ++size) {
            INFO(coding << " cut to " << size);
            CHECK_THROWS_AS(decoded(coding, whole.substr(0, size)), ContentCodingError);
        }
    }
}

TEST_CASE("a broken body is an error") {
    auto bytes = gzipped(sample());
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
    CHECK_THROWS_AS(decoded("gzip", bytes), ContentCodingError);
    CHECK_THROWS_AS(decoded("gzip", "this is not gzip"), ContentCodingError);
    CHECK_THROWS_AS(decoded("br", "\xff\xff\xff\xff\xff"), ContentCodingError);
}

TEST_CASE("a small body cannot become a flood") {
    std::string flood(50'000'000, 'a');
    auto bomb = gzipped(flood);
    CHECK(bomb.size() < 100'000);
    CHECK_THROWS_WITH(decoded("gzip", bomb, SIZE_MAX, 1'000'000), tests::contains("1000000"));
    CHECK_THROWS_WITH(decoded("br", brotlied(flood)), tests::contains("1000 times"));
    CHECK_THROWS_WITH(decoded("gzip, gzip", gzipped(bomb)), tests::contains("1000 times"));
    CHECK(decoded("gzip", gzipped("exactly"), SIZE_MAX, 7) == "exactly");
    CHECK_THROWS_AS(decoded("gzip", gzipped("exactly"), SIZE_MAX, 6), ContentCodingError);
}

TEST_CASE("what is not known is said") {
    CHECK_THROWS_AS(ContentDecoder("zstd"), ContentCodingError);
    CHECK_THROWS_AS(ContentDecoder("gzip,gzip,gzip,gzip,gzip"), ContentCodingError);
    CHECK(ContentDecoder::knows("gzip, br"));
    CHECK(ContentDecoder::knows(""));
    CHECK_FALSE(ContentDecoder::knows("gzip, zstd"));
    CHECK_FALSE(ContentDecoder::knows("gzip,gzip,gzip,gzip,gzip"));
}
