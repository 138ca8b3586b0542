// SPDX-License-Identifier: MIT
#include <coaio/http/cookie.hpp>
#include <coaio/http/date.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// Whatever a server sets, what goes back is one header.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coaio::http;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    static const Url url = Url::parse("https://www.example.org/a/b");
    WallTime now{std::chrono::seconds(1'700'000'000)};
    (void)parse_cookies(text);
    (void)parse_date(text, now);
    CookieJar jar(4, 2);
    while (!text.empty()) {
        auto end = text.find('\n');
        if (auto cookie = SetCookie::parse(text.substr(0, end))) jar.store(url, *cookie, now);
        text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    }
    Headers headers;
    auto sent = jar.header_for(url, now);
    headers.add("Cookie", sent);  // throws where it would break the message
    if (jar.size() > 4) std::abort();
    return 0;
}
