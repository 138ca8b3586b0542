// SPDX-License-Identifier: MIT
#pragma once

#include "decode.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <llhttp.h>

namespace coaio::http::detail {

/// llhttp behind its callbacks: where the parts of a head lie in the window, and the pieces of a chunked body.
struct DecodeParser {
    enum class Kind : std::uint8_t { method, version, other };

    /// A part of the window, or of the text of the trailers, by its place: the memory itself may move.
    struct Span {
        std::uint32_t at = 0;
        std::uint32_t size = 0;
        [[nodiscard]] std::string_view in(std::string_view text) const { return text.substr(at, size); }
    };
    struct Field {
        Span name;
        Span value;
    };
    struct Result {
        std::size_t consumed;
        bool ok;
    };

    explicit DecodeParser(Side side);
    DecodeParser(const DecodeParser&) = delete;
    DecodeParser& operator=(const DecodeParser&) = delete;

    void reset();
    void start_head(const char* window, std::size_t target_limit, std::size_t field_limit);
    void start_body(std::string& trailer_text, std::size_t trailer_limit, std::size_t field_limit);
    [[nodiscard]] Result execute(std::string_view bytes);
    /// Whether all that is not body in these bytes, the ones just executed, is lines that end in CR LF.
    [[nodiscard]] bool lint_chunk(std::string_view bytes);

    [[nodiscard]] int minor() const { return llhttp.http_minor; }
    [[nodiscard]] int status() const { return llhttp.status_code; }
    [[nodiscard]] Kind error_kind() const;
    [[nodiscard]] std::string reason() const;

    llhttp_t llhttp{};
    const char* window = nullptr;
    std::string* trailer_text = nullptr;
    std::size_t target_limit = 0;
    std::size_t field_limit = 0;
    std::size_t trailer_limit = 0;

    Span method, target, status_text;
    std::vector<Field> fields;
    std::string_view body;
    std::uint64_t chunk_size = 0;  // of the chunk whose header was executed last; 0 where none was
    char last = '\0';              // the last byte of the framing, for lint_chunk
    bool name_open = false;
    bool begun = false;
    bool head_done = false;
    bool message_done = false;
    bool target_too_long = false;
    bool too_many_fields = false;
    bool trailers_too_long = false;

    [[nodiscard]] Span place(const char* at, std::size_t size) const {
        return {static_cast<std::uint32_t>(at - window), static_cast<std::uint32_t>(size)};
    }
};

}  // namespace coaio::http::detail
