// SPDX-License-Identifier: MIT
#pragma once

#include "decode.hpp"

#include <coaio/http/headers.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coaio::http::detail {

/// What a connection knows when it answers.
struct ResponsePlanInput {
    int status = 200;
    std::optional<std::uint64_t> length;  // of the body; none: known only at its end
    int request_minor = 1;
    bool head_request = false;
    bool connect = false;
    bool keep_alive = true;  // the request allows it, and so does the server
};

/// How it answers (RFC 9112 section 6).
struct ResponsePlan {
    Framing framing = Framing::none;
    bool send_body = false;
    bool keep_alive = true;
};

[[nodiscard]] ResponsePlan plan_response(const ResponsePlanInput& input) noexcept;

/// Appends a response head to `out`. `Content-Length`, `Transfer-Encoding`, `Connection` are the plan's, whatever
/// `headers` says; but a Content-Length in `headers` is told to HEAD and with 304, where there is no body to count.
/// `date_line`, a whole line, and `server` are left out where empty or where `headers` has them.
void write_response_head(std::string& out, int status, std::string_view reason, const Headers& headers,
                         const ResponsePlan& plan, const ResponsePlanInput& input, std::string_view date_line,
                         std::string_view server);

struct RequestPlan {
    Framing framing = Framing::none;  // none: no body
    std::uint64_t length = 0;
    bool keep_alive = true;
    bool expect_continue = false;
};

/// Appends a request head. `host` is the Host header's value unless `headers` has one; it comes first. Throws
/// `HeaderError` for a method that is no token or a target with a space or a control character.
void write_request_head(std::string& out, std::string_view method, std::string_view target, std::string_view host,
                        const Headers& headers, const RequestPlan& plan);

/// The line before a chunk of `size` bytes. A chunk is this line, the bytes, CR LF; never of zero bytes.
class ChunkHead {
public:
    explicit ChunkHead(std::uint64_t size) noexcept;
    [[nodiscard]] std::string_view text() const noexcept { return {text_.data() + start_, text_.size() - start_}; }

private:
    std::array<char, 18> text_{};
    std::size_t start_ = text_.size() - 2;
};

inline constexpr std::string_view chunk_end = "\r\n";
inline constexpr std::string_view last_chunk = "0\r\n\r\n";
inline constexpr std::string_view continue_head = "HTTP/1.1 100 Continue\r\n\r\n";

/// The last chunk with these trailers; fields that decide about framing or routing are left out.
void write_last_chunk(std::string& out, const Headers& trailers);

}  // namespace coaio::http::detail
