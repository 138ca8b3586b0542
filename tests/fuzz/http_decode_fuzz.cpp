// SPDX-License-Identifier: MIT
#include "http/decode_events.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// The first byte chooses the side and the limits, the second where the input is split. However it is split, the same
// events come of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
    using namespace coaio::http::detail;
    Side side = (data[0] & 1) != 0 ? Side::response : Side::request;
    DecodeLimits limits;
    if ((data[0] & 2) != 0) {
        limits.head_bytes = 64;
        limits.header_count = 3;
        limits.target_bytes = 16;
        limits.trailer_bytes = 24;
        limits.body_bytes = 32;
    }
    const char* method = (data[0] & 4) != 0 ? "HEAD" : (data[0] & 8) != 0 ? "CONNECT" : "GET";
    auto whole = tests::decode_events(side, input, {}, method, limits);
    auto split = tests::decode_events(side, input, {data[1]}, method, limits);
    // What is said of a failure may name bytes that had not arrived; that it fails may not depend on it.
    auto same = whole.size() == split.size();
    for (std::size_t i = 0; same && i < whole.size(); ++i) {
        same = whole[i] == split[i] || (whole[i].rfind("failed", 0) == 0 && split[i].rfind("failed", 0) == 0);
    }
    if (!same) std::abort();
    return 0;
}
