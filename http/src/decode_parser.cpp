// SPDX-License-Identifier: MIT
#include "decode_parser.hpp"

// What llhttp calls, and when it pauses: after a head, after each chunk, after the message. Only those callbacks may
// pause; so one `execute` gives at most one piece of body, and never runs into the next message.
namespace coaio::http::detail {
namespace {

DecodeParser& parser_of(llhttp_t* raw) { return *static_cast<DecodeParser*>(raw->data); }

struct Callbacks {
    using Parser = DecodeParser;
    llhttp_settings_t settings;

    Callbacks() {
        llhttp_settings_init(&settings);
        settings.on_message_begin = [](llhttp_t* raw) {
            parser_of(raw).begun = true;
            return 0;
        };
        settings.on_method = [](llhttp_t* raw, const char* at, std::size_t size) {
            return extend(parser_of(raw), parser_of(raw).method, at, size);
        };
        settings.on_url = [](llhttp_t* raw, const char* at, std::size_t size) {
            auto& parser = parser_of(raw);
            extend(parser, parser.target, at, size);
            parser.target_too_long = parser.target.size > parser.target_limit;
            return parser.target_too_long ? -1 : 0;
        };
        settings.on_status = [](llhttp_t* raw, const char* at, std::size_t size) {
            return extend(parser_of(raw), parser_of(raw).status_text, at, size);
        };
        settings.on_header_field = [](llhttp_t* raw, const char* at, std::size_t size) {
            auto& parser = parser_of(raw);
            if (!parser.name_open) {
                parser.too_many_fields = parser.fields.size() >= parser.field_limit;
                if (parser.too_many_fields) return -1;
                parser.fields.emplace_back();
                parser.name_open = true;
            }
            return extend(parser, parser.fields.back().name, at, size);
        };
        settings.on_header_field_complete = [](llhttp_t* raw) {
            parser_of(raw).name_open = false;
            return 0;
        };
        settings.on_header_value = [](llhttp_t* raw, const char* at, std::size_t size) {
            auto& parser = parser_of(raw);
            return parser.fields.empty() ? -1 : extend(parser, parser.fields.back().value, at, size);
        };
        settings.on_headers_complete = [](llhttp_t* raw) -> int {
            auto& parser = parser_of(raw);
            if (parser.head_done) return 0;  // of the trailers
            parser.head_done = true;
            return HPE_PAUSED;
        };
        settings.on_chunk_header = [](llhttp_t* raw) {
            auto& parser = parser_of(raw);
            parser.chunk_size = raw->content_length;
            return 0;
        };
        settings.on_body = [](llhttp_t* raw, const char* at, std::size_t size) {
            parser_of(raw).body = {at, size};
            return 0;
        };
        settings.on_chunk_complete = [](llhttp_t* raw) -> int {
            if ((raw->flags & F_TRAILING) != 0) parser_of(raw).message_done = true;
            return HPE_PAUSED;
        };
        settings.on_message_complete = [](llhttp_t* raw) -> int {
            parser_of(raw).message_done = true;
            return HPE_PAUSED;
        };
    }

    // A part that a read has split arrives in pieces: in a head they lie side by side in the window; of trailers each
    // piece is copied.
    static int extend(Parser& parser, Parser::Span& span, const char* at, std::size_t size) {
        if (parser.trailer_text == nullptr) {
            auto piece = parser.place(at, size);
            if (span.size == 0) span.at = piece.at;
            span.size = piece.at + piece.size - span.at;
            return 0;
        }
        auto& text = *parser.trailer_text;
        parser.trailers_too_long = text.size() + size > parser.trailer_limit;
        if (parser.trailers_too_long) return -1;
        if (span.size == 0) span.at = static_cast<std::uint32_t>(text.size());
        text.append(at, size);
        span.size += static_cast<std::uint32_t>(size);
        return 0;
    }
};

const Callbacks& callbacks() {
    static const Callbacks all;
    return all;
}

}  // namespace

DecodeParser::DecodeParser(Side side) {
    llhttp_init(&llhttp, side == Side::request ? HTTP_REQUEST : HTTP_RESPONSE, &callbacks().settings);
    llhttp.data = this;
    fields.reserve(16);
}

void DecodeParser::reset() {
    llhttp_reset(&llhttp);
    method = target = status_text = Span{};
    fields.clear();
    trailer_text = nullptr;
    last = '\0';
    name_open = begun = head_done = message_done = false;
    target_too_long = too_many_fields = trailers_too_long = false;
}

void DecodeParser::start_head(const char* start, std::size_t max_target, std::size_t max_fields) {
    window = start;
    target_limit = max_target;
    field_limit = max_fields;
}

void DecodeParser::start_body(std::string& text, std::size_t max_trailers, std::size_t max_fields) {
    if (trailer_text == nullptr) fields.clear();  // those of the head have been taken
    trailer_text = &text;
    trailer_limit = max_trailers;
    field_limit = max_fields;
    body = {};
    chunk_size = 0;
}

DecodeParser::Result DecodeParser::execute(std::string_view bytes) {
    auto result = llhttp_execute(&llhttp, bytes.data(), bytes.size());
    if (result == HPE_OK) return {bytes.size(), true};
    auto consumed = static_cast<std::size_t>(llhttp_get_error_pos(&llhttp) - bytes.data());
    if (result != HPE_PAUSED) return {0, false};
    llhttp_resume(&llhttp);
    return {consumed, true};
}

bool DecodeParser::lint_chunk(std::string_view bytes) {
    auto lines = [&](std::string_view text) {
        for (char c : text) {
            if ((c == '\n') != (last == '\r')) return false;
            if ((c == ' ' || c == '\t') && last == '\n') return false;
            last = c;
        }
        return true;
    };
    if (body.empty()) return lines(bytes);
    auto before = static_cast<std::size_t>(body.data() - bytes.data());
    if (!lines(bytes.substr(0, before)) || last == '\r') return false;
    last = '\0';
    return lines(bytes.substr(before + body.size()));
}

DecodeParser::Kind DecodeParser::error_kind() const {
    switch (llhttp_get_errno(&llhttp)) {
    case HPE_INVALID_METHOD: return Kind::method;
    case HPE_INVALID_VERSION: {
        // llhttp 9 says so of what follows a version that is fine, too.
        const bool known = llhttp.http_major == 1 && llhttp.http_minor <= 1;
        return known ? Kind::other : Kind::version;
    }
    case HPE_PAUSED_H2_UPGRADE: return Kind::version;
    default: return Kind::other;
    }
}

std::string DecodeParser::reason() const {
    const char* text = llhttp_get_error_reason(&llhttp);
    return text != nullptr && *text != '\0' ? text : llhttp_errno_name(llhttp_get_errno(&llhttp));
}

}  // namespace coaio::http::detail
