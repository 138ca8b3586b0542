// SPDX-License-Identifier: MIT
#include "encode.hpp"

#include "text.hpp"

#include <coaio/http/error.hpp>
#include <coaio/http/status.hpp>

#include <charconv>

namespace coaio::http::detail {
namespace {

void append_number(std::string& out, std::uint64_t value) {
    std::array<char, 20> digits;
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), end);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ", 2).append(value).append("\r\n", 2);
}

constexpr std::size_t most_digits = 20;  // of 64 bits
constexpr std::size_t around_field = std::string_view(": \r\n").size();
constexpr std::size_t around_fields =
    std::string_view("HTTP/1.1  \r\nServer: \r\nTransfer-Encoding: chunked\r\n").size() + 2 * most_digits;

/// Room behind a text, made at once for what is then put into it; what is left of it goes.
class Room {
public:
    Room(std::string& out, std::size_t most) : out_(out), size_(out.size()) { out_.resize(size_ + most); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    ~Room() { out_.resize(size_); }

    Room& put(std::string_view text) noexcept {
        text.copy(out_.data() + size_, text.size());
        size_ += text.size();
        return *this;
    }
    Room& put(std::uint64_t number) noexcept {
        char* const at = out_.data() + size_;
        size_ += static_cast<std::size_t>(std::to_chars(at, at + most_digits, number).ptr - at);
        return *this;
    }

private:
    std::string& out_;
    std::size_t size_;
};

// What the connection writes itself.
bool is_ours(std::string_view name) {
    switch (name.size()) {
    case 10: return iequals(name, "connection") || iequals(name, "keep-alive");
    case 14: return iequals(name, "content-length");
    case 17: return iequals(name, "transfer-encoding");
    default: return false;
    }
}

// The words of a Connection header that are not ours, such as `upgrade`, go on being said.
void append_connection(std::string& out, const Headers& headers, bool close, bool keep_alive) {
    bool first = true;
    auto word = [&](std::string_view text) {
        out.append(first ? "Connection: " : ", ").append(text);
        first = false;
    };
    if (close)
        word("close");
    else if (keep_alive)
        word("keep-alive");
    for (const auto& header : headers) {
        if (header.name.size() != 10 || !iequals(header.name, "connection")) continue;
        for_each_in_list(header.value, [&](std::string_view each) {
            if (!iequals(each, "close") && !iequals(each, "keep-alive")) word(each);
            return true;
        });
    }
    if (!first) out.append("\r\n", 2);
}

std::optional<std::uint64_t> declared_length(const Headers& headers) {
    auto text = headers.get("Content-Length");
    return text ? parse_uint(*text) : std::nullopt;
}

}  // namespace

ResponsePlan plan_response(const ResponsePlanInput& input) noexcept {
    ResponsePlan plan;
    plan.keep_alive = input.keep_alive;
    bool success = input.status >= 200 && input.status < 300;
    if (Status(input.status).forbids_body() || (input.connect && success)) return plan;
    if (input.length) {
        plan.framing = Framing::length;
    } else if (input.request_minor >= 1) {
        plan.framing = Framing::chunked;
    } else {
        plan.framing = Framing::until_close;
        plan.keep_alive = input.keep_alive && input.head_request;
    }
    plan.send_body = !input.head_request;
    return plan;
}

void write_response_head(std::string& out, int status, std::string_view reason, const Headers& headers,
                         const ResponsePlan& plan, const ResponsePlanInput& input, std::string_view date_line,
                         std::string_view server) {
    if (reason.empty()) reason = Status(status).reason();
    {
        std::size_t fields = date_line.size() + server.size();
        for (const auto& header : headers) fields += header.name.size() + header.value.size() + around_field;
        Room room(out, fields + reason.size() + around_fields);
        room.put("HTTP/1.1 ").put(static_cast<std::uint64_t>(status)).put(" ").put(reason).put("\r\n");

        bool has_date = false, has_server = false;
        for (const auto& header : headers) {
            if (is_ours(header.name)) continue;
            has_date = has_date || (header.name.size() == 4 && iequals(header.name, "date"));
            has_server = has_server || (header.name.size() == 6 && iequals(header.name, "server"));
            room.put(header.name).put(": ").put(header.value).put("\r\n");
        }
        if (!has_date) room.put(date_line);
        if (!server.empty() && !has_server) room.put("Server: ").put(server).put("\r\n");

        auto told = input.head_request || status == 304 ? declared_length(headers) : std::nullopt;
        if (told || plan.framing == Framing::length) {
            room.put("Content-Length: ").put(told ? *told : *input.length).put("\r\n");
        } else if (plan.framing == Framing::chunked) {
            room.put("Transfer-Encoding: chunked\r\n");
        }
    }
    bool informational = status < 200;
    append_connection(out, headers, !plan.keep_alive && !informational, plan.keep_alive && input.request_minor == 0);
    out.append("\r\n", 2);
}

void write_request_head(std::string& out, std::string_view method, std::string_view target, std::string_view host,
                        const Headers& headers, const RequestPlan& plan) {
    if (!is_token(method)) throw HeaderError("the method \"" + shown(method) + "\" is not a token");
    bool fit = !target.empty();
    for (char c : target) fit = fit && byte(c) > 0x20 && byte(c) < 0x7f && c != '#';
    if (!fit)
        throw HeaderError("the request target \"" + shown(target) +
                          "\" is not fit to send: it must be percent-encoded");
    for (char c : host) {
        if (byte(c) <= 0x20 || byte(c) >= 0x7f)
            throw HeaderError("the host \"" + shown(host) + "\" is not fit to send");
    }
    out.append(method).append(1, ' ').append(target).append(" HTTP/1.1\r\n", 11);
    append_field(out, "Host", headers.get_or("Host", host));
    for (const auto& header : headers) {
        if (is_ours(header.name) || iequals(header.name, "host") || iequals(header.name, "expect")) continue;
        append_field(out, header.name, header.value);
    }
    if (plan.framing == Framing::length) {
        out.append("Content-Length: ", 16);
        append_number(out, plan.length);
        out.append("\r\n", 2);
    } else if (plan.framing == Framing::chunked) {
        out.append("Transfer-Encoding: chunked\r\n", 28);
    }
    if (plan.expect_continue) append_field(out, "Expect", "100-continue");
    append_connection(out, headers, !plan.keep_alive, false);
    out.append("\r\n", 2);
}

ChunkHead::ChunkHead(std::uint64_t size) noexcept {
    static constexpr char digits[] = "0123456789abcdef";
    text_[text_.size() - 2] = '\r';
    text_[text_.size() - 1] = '\n';
    do {
        text_[--start_] = digits[size & 15];
        size >>= 4;
    } while (size != 0);
}

void write_last_chunk(std::string& out, const Headers& trailers) {
    static constexpr std::string_view refused[] = {
        "content-length", "transfer-encoding", "host",       "connection",       "trailer",      "te",
        "expect",         "authorization",     "set-cookie", "content-encoding", "content-type", "content-range",
        "keep-alive"};
    out.append("0\r\n", 3);
    for (const auto& header : trailers) {
        bool fits = true;
        for (auto name : refused) fits = fits && !iequals(header.name, name);
        if (fits) append_field(out, header.name, header.value);
    }
    out.append("\r\n", 2);
}

}  // namespace coaio::http::detail
