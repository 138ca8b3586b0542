// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/headers.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace coaio::http::detail {

enum class Side : std::uint8_t { request, response };
struct DecodeParser;

/// How the end of a body is known (RFC 9112 section 6).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

/// Which of the four forms a request target has (RFC 9112 section 3.2).
enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

struct DecodeLimits {
    std::size_t head_bytes = 64 * 1024;
    std::size_t target_bytes = 16 * 1024;
    std::size_t header_count = 128;
    std::size_t trailer_bytes = 16 * 1024;
    std::uint64_t body_bytes = 8 * 1024 * 1024;
};

/// What the head of one message says, but for its fields.
struct StartOfMessage {
    std::string_view method;   // requests
    std::string_view target;   // requests, raw
    std::string_view reason;   // responses
    std::uint64_t length = 0;  // of the body, with Framing::length
    int status = 0;            // responses
    int minor = 1;             // HTTP/1.minor
    Framing framing = Framing::none;
    TargetForm form = TargetForm::origin;
    bool keep_alive = false;       // the peer would go on after this message
    bool expect_continue = false;  // the peer waits for 100 before it sends the body
    bool upgrade = false;          // requests: asks for another protocol; responses: 101, or a tunnel
};

/// The head of one message. Its views, and those of its headers, lead into the window in which it was decoded.
struct MessageHead : StartOfMessage {
    Headers headers;
};

/// Bytes in, the events of a message out; no I/O, no time, no exception for what the peer does.
///
/// The caller holds a buffer and calls `next` with all bytes that it has not given up yet, again and again:
/// - `more`: give up `consumed` bytes, read more behind the rest, call again. While a head is incomplete nothing is
///   consumed: the head stays in one piece (it may move with the buffer), and only new bytes are looked at.
/// - `head`: `head()` is valid; `consumed` is its length. These bytes stay where they are until `end`.
/// - `body`: `data` is the next piece of the body, a view into the window.
/// - `end`: the message is over and `trailers()` is whole; `begin()` before the next.
/// - `failed`: `failure()` says what, and with which status to answer. Nothing more comes.
///
/// After `end` of a message with `upgrade`, the rest of the bytes belong to another protocol.
class Decoder {
public:
    enum class Event : std::uint8_t { more, head, body, end, failed };

    struct Step {
        Event event;
        std::size_t consumed;
        std::string_view data = {};
    };

    struct Failure {
        int status = 0;  // what a server answers with
        bool limit = false;
        std::string what;
    };

    Decoder(Side side, const DecodeLimits& limits);
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    ~Decoder();

    /// Ready for the first byte of the next message. For a response: the method of its request, since there is no body
    /// after HEAD, and a tunnel after CONNECT.
    void begin(std::string_view request_method = {});

    [[nodiscard]] Step next(std::string_view window);
    /// The peer sends no more: `end` where that ends a body, `failed` in mid-message, `more` between messages.
    [[nodiscard]] Step finish();

    /// No byte of a message has been seen since `begin`; line ends before a request do not count.
    [[nodiscard]] bool idle() const noexcept;

    [[nodiscard]] const MessageHead& head() const noexcept { return head_; }
    [[nodiscard]] const Headers& trailers() const noexcept { return trailers_; }
    [[nodiscard]] const Failure& failure() const noexcept { return failure_; }
    /// `failure()` as ProtocolError or LimitError.
    [[noreturn]] void throw_failure() const;

    /// May be changed between `head` and the body; a declared length above it fails at the next `next`.
    void set_body_limit(std::uint64_t bytes) noexcept { limits_.body_bytes = bytes; }
    [[nodiscard]] const DecodeLimits& limits() const noexcept { return limits_; }

private:
    enum class State : std::uint8_t { head, body, tail, ended, failed };

    Step next_head(std::string_view window);
    Step next_body(std::string_view window);
    Step fail(int status, std::string what, bool limit = false);
    [[nodiscard]] bool method_may_go_on(std::string_view window) const;
    Step fail_parser(std::string_view window);
    bool take_head(std::string_view window);
    bool take_fields(std::string_view window);
    bool check_request(std::string_view window);
    bool check_framing();
    bool take_trailers();

    std::unique_ptr<DecodeParser> parser_;
    DecodeLimits limits_;
    MessageHead head_;
    Headers trailers_;
    std::string trailer_text_;
    Failure failure_;
    std::uint64_t body_seen_ = 0;
    std::uint64_t framing_seen_ = 0;  // bytes of a chunked body that are not body
    std::size_t scanned_ = 0;         // bytes of the window, from the head's start, that the parser has had
    Side side_;
    State state_ = State::head;
    bool connect_ = false;
    bool head_request_ = false;
};

}  // namespace coaio::http::detail
