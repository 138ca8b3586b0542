// SPDX-License-Identifier: MIT
#include "decode.hpp"

#include "decode_parser.hpp"
#include "header_store.hpp"
#include "text.hpp"

#include <coaio/http/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>

// llhttp splits a head into fields and a chunked body into chunks. All that decides where a message ends, and so what
// a smuggler attacks, is decided or checked again here from the raw bytes, since releases of llhttp differ in it:
// line ends, folded lines, Content-Length against Transfer-Encoding, the version, the form of the target.
namespace coaio::http::detail {

Decoder::Decoder(Side side, const DecodeLimits& limits)
    : parser_(std::make_unique<DecodeParser>(side)), limits_(limits), side_(side) {
    begin();
}

Decoder::~Decoder() = default;

void Decoder::begin(std::string_view request_method) {
    parser_->reset();
    HeaderViews::reset(head_.headers);
    HeaderViews::reset(trailers_);
    static_cast<StartOfMessage&>(head_) = {};
    trailer_text_.clear();
    failure_.status = 0;
    body_seen_ = 0;
    framing_seen_ = 0;
    scanned_ = 0;
    state_ = State::head;
    connect_ = request_method == "CONNECT";
    head_request_ = request_method == "HEAD";
}

bool Decoder::idle() const noexcept { return state_ == State::head && !parser_->begun; }

void Decoder::throw_failure() const {
    if (failure_.limit) throw LimitError(failure_.status, failure_.what);
    throw ProtocolError(failure_.status, failure_.what);
}

Decoder::Step Decoder::fail(int status, std::string what, bool limit) {
    state_ = State::failed;
    failure_.status = status;
    failure_.limit = limit;
    failure_.what = std::move(what);
    return {Event::failed, 0};
}

Decoder::Step Decoder::next(std::string_view window) {
    switch (state_) {
    case State::head: return next_head(window);
    case State::body: return next_body(window);
    case State::tail: state_ = State::ended; return {Event::end, 0};
    case State::ended: return {Event::end, 0};
    case State::failed: break;
    }
    return {Event::failed, 0};
}

Decoder::Step Decoder::finish() {
    switch (state_) {
    case State::head:
        if (idle()) return {Event::more, 0};
        return fail(400, "the peer closed the connection within a head, after " + std::to_string(scanned_) + " bytes");
    case State::body:
        if (head_.framing == Framing::until_close) {
            state_ = State::ended;
            return {Event::end, 0};
        }
        return fail(400,
                    "the peer closed the connection within a body, after " + std::to_string(body_seen_) +
                        (head_.framing == Framing::length ? " of " + std::to_string(head_.length) : std::string()) +
                        " bytes");
    default: return next({});
    }
}

Decoder::Step Decoder::next_head(std::string_view window) {
    std::size_t known = std::min(window.size(), limits_.head_bytes);
    if (known > scanned_) {
        auto& parser = *parser_;
        // Where the head begins: the parser measures from there.
        // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage)
        parser.start_head(window.data(), limits_.target_bytes, limits_.header_count);
        auto result = parser.execute(window.substr(scanned_, known - scanned_));
        if (parser.target_too_long) {
            return fail(414, "the request target is longer than " + std::to_string(limits_.target_bytes) + " bytes",
                        true);
        }
        if (parser.too_many_fields) {
            return fail(431, "the head has more than " + std::to_string(limits_.header_count) + " headers", true);
        }
        if (parser.head_done) {
            std::size_t size = scanned_ + result.consumed;
            if (!take_head(window.substr(0, size))) return {Event::failed, 0};
            bool body = head_.framing != Framing::none && !(head_.framing == Framing::length && head_.length == 0);
            state_ = body ? State::body : State::tail;
            return {Event::head, size};
        }
        if (!result.ok) return method_may_go_on(window) ? Step{Event::more, 0} : fail_parser(window);
        scanned_ = known;
    }
    if (scanned_ >= limits_.head_bytes) {
        return fail(431, "the head is longer than " + std::to_string(limits_.head_bytes) + " bytes", true);
    }
    return {Event::more, 0};
}

namespace {

std::string_view method_in(std::string_view window) {
    auto start = window.find_first_not_of("\r\n");
    auto method = start == window.npos ? std::string_view{} : window.substr(start);
    return method.substr(0, method.find(' '));
}

constexpr std::size_t longest_method = 64;

}  // namespace

// A method that is not known has not been read to its end yet: the answer is to name it.
bool Decoder::method_may_go_on(std::string_view window) const {
    auto method = method_in(window);
    return parser_->error_kind() == DecodeParser::Kind::method &&
           method.data() + method.size() == window.data() + window.size() && method.size() < longest_method &&
           is_token(method);
}

Decoder::Step Decoder::fail_parser(std::string_view window) {
    using Kind = DecodeParser::Kind;
    auto kind = parser_->error_kind();
    if (kind == Kind::version) {
        return fail(505, "this is not a version of HTTP that is spoken here (1.0 and 1.1 are)");
    }
    if (kind == Kind::method) {
        auto method = method_in(window);
        if (is_token(method) && method.size() <= longest_method)
            return fail(501, "the method " + shown(method) + " is not known here");
        return fail(400, "this is not HTTP: " + shown(window.substr(0, 24)));
    }
    return fail(400, (side_ == Side::request ? "a malformed request: " : "a malformed response: ") + parser_->reason());
}

namespace {

// Every line ends in CR LF, no CR or NUL stands anywhere else, and no line continues the one before.
const char* line_fault(std::string_view head) {
    const char* at = head.data();
    const char* end = at + head.size();
    if (std::memchr(at, '\0', head.size()) != nullptr) return "a NUL byte in the head";
    while (at < end) {
        const auto* feed = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
        if (feed == nullptr) return "a line that does not end";
        if (feed == at || feed[-1] != '\r') return "a line that ends in a line feed without a carriage return";
        if (std::memchr(at, '\r', static_cast<std::size_t>(feed - at)) != feed - 1)
            return "a carriage return in mid-line";
        at = feed + 1;
        if (at < end && (*at == ' ' || *at == '\t')) return "a header that is folded over two lines";
    }
    return nullptr;
}

bool is_version(std::string_view text) {
    return text.size() == 10 && text.substr(0, 6) == " HTTP/" && is_digit(text[6]) && text[7] == '.' &&
           is_digit(text[8]);
}

constexpr auto host_chars = [] {
    std::array<bool, 256> is{};
    for (std::size_t i = 0; i < is.size(); ++i) is[i] = is_alnum(static_cast<char>(i));
    for (char c : std::string_view("-._~:[]%!$&'()*+,;=")) is[byte(c)] = true;
    return is;
}();

bool valid_host(std::string_view host) {
    return std::all_of(host.begin(), host.end(), [](char c) { return host_chars[byte(c)]; });
}

}  // namespace

bool Decoder::take_head(std::string_view window) {
    std::size_t lead = side_ == Side::request ? window.find_first_not_of("\r\n") : 0;
    if (const char* fault = line_fault(window)) {
        fail(400, fault);
        return false;
    }
    head_.minor = parser_->minor();
    if (side_ == Side::request) {
        head_.method = parser_->method.in(window);
        head_.target = parser_->target.in(window);
        auto target_at = static_cast<std::size_t>(head_.target.data() - window.data());
        auto tail = window.substr(target_at + head_.target.size());
        tail = tail.substr(0, tail.find('\n'));
        if (!is_version(tail)) {
            fail(400, "the request line is not METHOD target HTTP/x.y with single spaces");
            return false;
        }
        if (tail[6] != '1' || tail[8] > '1') {
            fail(505, "this version of HTTP is not spoken here: " + shown(tail.substr(1, 8)));
            return false;
        }
        if (window.substr(lead, head_.method.size()) != head_.method || target_at != lead + head_.method.size() + 1) {
            fail(400, "the request line is not METHOD target HTTP/x.y with single spaces");
            return false;
        }
    } else {
        if (window.substr(0, 7) != "HTTP/1.") {
            fail(505, "the response does not start with HTTP/1.x but with " + shown(window.substr(0, 16)));
            return false;
        }
        head_.status = parser_->status();
        head_.reason = trim(parser_->status_text.in(window));
        if (head_.status < 100 || head_.status > 999) {
            fail(400, "the status code " + std::to_string(head_.status) + " is not one");
            return false;
        }
    }
    return take_fields(window) && (side_ == Side::response || check_request(window)) && check_framing();
}

bool Decoder::take_fields(std::string_view window) {
    auto& fields = parser_->fields;
    auto& views = HeaderViews::room(head_.headers, fields.size());
    for (const auto& field : fields) {
        auto name = field.name.in(window);
        // Whitespace before the colon has been read as two different headers by two different programs.
        if (name.empty() || window[field.name.at + field.name.size] != ':') {
            fail(400, "the header name " + shown(name, 40) + " is not followed by a colon");
            return false;
        }
        views.push_back(Header{name, trim(field.value.in(window))});
    }
    return true;
}

bool Decoder::check_request(std::string_view) {
    auto target = head_.target;
    if (target.find('#') != target.npos) {
        fail(400, "the request target has a fragment");
        return false;
    }
    bool connect = head_.method == "CONNECT";
    if (connect) {
        head_.form = TargetForm::authority;
        auto colon = target.rfind(':');
        bool port = colon != target.npos && parse_uint(target.substr(colon + 1), 65535).has_value();
        if (!port || colon == 0 || !valid_host(target)) {
            fail(400, "the target of CONNECT is not host:port");
            return false;
        }
    } else if (target.front() == '/') {
        head_.form = TargetForm::origin;
    } else if (target == "*" && head_.method == "OPTIONS") {
        head_.form = TargetForm::asterisk;
    } else {
        head_.form = TargetForm::absolute;
        std::size_t scheme = iequals(target.substr(0, 7), "http://")    ? 7
                             : iequals(target.substr(0, 8), "https://") ? 8
                                                                        : 0;
        auto authority = target.substr(std::min(scheme, target.size()));
        authority = authority.substr(0, authority.find_first_of("/?"));
        if (scheme == 0 || authority.empty() || !valid_host(authority)) {
            fail(400, "the request target is neither a path, nor an http URL, nor * for OPTIONS: " + shown(target));
            return false;
        }
    }

    std::size_t hosts = 0;
    for (const auto& header : head_.headers) {
        if (header.name.size() == 4 && iequals(header.name, "host")) {
            ++hosts;
            if (!valid_host(header.value)) {
                fail(400, "the Host header is not a host: " + shown(header.value));
                return false;
            }
        } else if (header.name.size() == 6 && iequals(header.name, "expect") && head_.minor == 1) {
            if (!iequals(header.value, "100-continue")) {
                fail(417, "the expectation is not known here: " + shown(header.value));
                return false;
            }
            head_.expect_continue = true;
        } else if (header.name.size() == 7 && iequals(header.name, "upgrade") && head_.minor == 1) {
            head_.upgrade = true;
        }
    }
    if (hosts > 1 || (hosts == 0 && head_.minor == 1)) {
        fail(400, hosts > 1 ? "the request has more than one Host header" : "the request has no Host header");
        return false;
    }
    if (connect) head_.upgrade = true;
    return true;
}

bool Decoder::check_framing() {
    bool close = false, alive = false, upgrade = false;
    std::size_t lengths = 0, codings = 0;
    bool chunked_last = false;
    for (const auto& header : head_.headers) {
        switch (header.name.size()) {
        case 10:
            if (!iequals(header.name, "connection")) break;
            if (iequals(header.value, "keep-alive")) {  // what nearly all say
                alive = true;
                break;
            }
            for_each_in_list(header.value, [&](std::string_view word) {
                close = close || iequals(word, "close");
                alive = alive || iequals(word, "keep-alive");
                upgrade = upgrade || iequals(word, "upgrade");
                return true;
            });
            break;
        case 14:
            if (!iequals(header.name, "content-length")) break;
            ++lengths;
            if (auto length = parse_uint(header.value, INT64_MAX)) {
                head_.length = *length;
            } else {
                fail(400, "the Content-Length is not a number: " + shown(header.value));
                return false;
            }
            break;
        case 17:
            if (!iequals(header.name, "transfer-encoding")) break;
            if (trim(header.value).empty()) ++codings;
            for_each_in_list(header.value, [&](std::string_view coding) {
                ++codings;
                chunked_last = iequals(coding, "chunked");
                return true;
            });
            break;
        default: break;
        }
    }
    if (lengths > 1 || (lengths == 1 && codings > 0)) {
        fail(400, lengths > 1 ? "the message has more than one Content-Length"
                              : "the message has both a Content-Length and a Transfer-Encoding");
        return false;
    }
    if (codings > 0) {
        if (head_.minor == 0 || !chunked_last) {
            fail(400, head_.minor == 0 ? "a Transfer-Encoding in HTTP/1.0" : "the last transfer coding is not chunked");
            return false;
        }
        if (codings > 1) {
            fail(501, "a transfer coding other than chunked is not known here");
            return false;
        }
    }
    head_.framing = codings > 0 ? Framing::chunked : lengths > 0 ? Framing::length : Framing::none;
    head_.keep_alive = head_.minor == 1 ? !close : alive && !close;

    if (side_ == Side::request) {
        head_.upgrade = head_.upgrade && (upgrade || connect_ || head_.form == TargetForm::authority);
        if (head_.form == TargetForm::authority) {
            head_.framing = Framing::none;
            head_.keep_alive = false;  // what follows is meant for somebody else
        }
        return true;
    }
    bool success = head_.status >= 200 && head_.status < 300;
    head_.upgrade = head_.status == 101 || (connect_ && success);
    if (head_request_ || head_.upgrade || head_.status < 200 || head_.status == 204 || head_.status == 304) {
        head_.framing = Framing::none;
    } else if (head_.framing == Framing::none) {
        head_.framing = Framing::until_close;
        head_.keep_alive = false;
    }
    return true;
}

Decoder::Step Decoder::next_body(std::string_view window) {
    auto too_large = [&] {
        return fail(413, "the body is larger than " + std::to_string(limits_.body_bytes) + " bytes", true);
    };
    if (head_.framing == Framing::length && head_.length > limits_.body_bytes) return too_large();
    if (head_.framing != Framing::chunked) {
        if (window.empty()) return {Event::more, 0};
        std::size_t size = window.size();
        if (head_.framing == Framing::length) {
            size = static_cast<std::size_t>(std::min<std::uint64_t>(size, head_.length - body_seen_));
        }
        body_seen_ += size;
        if (body_seen_ > limits_.body_bytes) return too_large();
        if (head_.framing == Framing::length && body_seen_ == head_.length) state_ = State::tail;
        return {Event::body, size, window.substr(0, size)};
    }

    std::size_t used = 0;
    auto& parser = *parser_;
    while (used < window.size()) {
        auto rest = window.substr(used);
        parser.start_body(trailer_text_, limits_.trailer_bytes, limits_.header_count);
        auto result = parser.execute(rest);
        if (parser.chunk_size > limits_.body_bytes - body_seen_) return too_large();
        if (parser.trailers_too_long) return fail(431, "the trailers are too long", true);
        if (!result.ok) return fail_parser(rest);
        if (!parser.lint_chunk(rest.substr(0, result.consumed))) {
            return fail(400, "a line of the chunked body does not end in CR LF");
        }
        used += result.consumed;
        body_seen_ += parser.body.size();
        framing_seen_ += result.consumed - parser.body.size();
        // One-byte chunks need five bytes each. What is far above that is an attack with sizes or extensions.
        if (framing_seen_ > 16 * body_seen_ + limits_.trailer_bytes) {
            return fail(413, "the chunked body has too much that is not body", true);
        }
        if (parser.message_done && !take_trailers()) return {Event::failed, 0};
        if (!parser.body.empty()) {
            if (parser.message_done) state_ = State::tail;
            return {Event::body, used, parser.body};
        }
        if (parser.message_done) {
            state_ = State::ended;
            return {Event::end, used};
        }
    }
    return {Event::more, used};
}

bool Decoder::take_trailers() {
    for (const auto& field : parser_->fields) {
        HeaderViews::add(trailers_, field.name.in(trailer_text_), trim(field.value.in(trailer_text_)));
    }
    return true;
}

}  // namespace coaio::http::detail
