// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace coaio::http {

/// What a client that uses `ContentDecoder` sends as Accept-Encoding.
inline constexpr std::string_view decodable_codings = "gzip, deflate, br";

/// Undoes the Content-Encoding of a body, piece by piece: gzip, deflate (with or without zlib's wrapping, as servers
/// differ) and br, also several after another.
///
/// The output is bounded: past `max_output` bytes in all, or past 1000 times what came in (once that is more than a
/// mebibyte), it throws, so that a small body cannot become a flood. Errors: `ContentCodingError`; the decoder is of no
/// more use then.
///
///     ContentDecoder decoder("gzip", 8 << 20);
///     decoder.decode(piece, text);               // appends
///     decoder.finish();                          // throws if the body ended early
class ContentDecoder {
public:
    /// `coding` is the value of Content-Encoding. Throws for one that is not known, or for more than 4 at once.
    explicit ContentDecoder(std::string_view coding, std::uint64_t max_output = UINT64_MAX);
    ContentDecoder(ContentDecoder&&) noexcept;
    ContentDecoder& operator=(ContentDecoder&&) noexcept;
    ~ContentDecoder();

    /// Whether this value of Content-Encoding can be undone here. An empty one can.
    [[nodiscard]] static bool knows(std::string_view coding) noexcept;

    /// Appends to `out` what comes of the next bytes.
    void decode(std::string_view bytes, std::string& out);
    /// The body is over. An empty body is whole.
    void finish();

    /// Bytes given out so far.
    [[nodiscard]] std::uint64_t output() const noexcept;

    class Stage;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace coaio::http
