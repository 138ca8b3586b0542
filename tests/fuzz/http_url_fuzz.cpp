// SPDX-License-Identifier: MIT
#include <coaio/http/media_type.hpp>
#include <coaio/http/url.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// A URL in normal form is its own normal form, and what is resolved is one too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coaio::http;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    static const Url base = Url::parse("http://user@example.org:81/a/b/c?d#e");
    for (const auto& url : {Url::try_parse(text), base.try_resolve(text)}) {
        if (!url) continue;
        auto again = Url::try_parse(url->to_string());
        if (!again || again->to_string() != url->to_string()) std::abort();
        for (char c : url->target()) {
            if (url->is_http() && (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f))
                std::abort();
        }
    }
    auto items = parse_query(text);
    if (parse_query(build_query(items)).size() > items.size()) std::abort();
    (void)MediaType::parse(text);
    (void)negotiate(text, {"gzip", "identity"});
    return 0;
}
