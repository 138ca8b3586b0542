// SPDX-License-Identifier: MIT
#include <coaio/http/content_coding.hpp>
#include <coaio/http/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// The first byte chooses the coding, the second the size of the pieces. Output stays within its limit.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coaio::http;
    if (size < 2) return 0;
    static constexpr std::string_view codings[] = {"gzip", "deflate", "br", "gzip, br", "deflate, deflate"};
    constexpr std::size_t limit = 256 * 1024;
    std::string out;
    try {
        ContentDecoder decoder(codings[data[0] % 5], limit);
        std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
        while (!rest.empty()) {
            auto piece = rest.substr(0, data[1] + std::size_t{1});
            decoder.decode(piece, out);
            rest.remove_prefix(piece.size());
        }
        decoder.finish();
    } catch (const ContentCodingError&) {}
    if (out.size() > limit) std::abort();
    return 0;
}
