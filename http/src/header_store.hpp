// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/headers.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace coaio::http::detail {

/// What stands behind `Headers`: the fields, and the text of those that it owns. A block is recycled by its thread, so
/// a message whose headers are as many and as long as those of earlier ones allocates nothing.
struct HeaderStore {
    static constexpr std::size_t first_text = 512;
    static constexpr std::size_t first_fields = 16;
    static constexpr std::size_t kept_text = 8192;  // a store that grew past this is not kept
    static constexpr std::size_t kept_fields = 256;

    std::vector<Header> fields;
    std::size_t garbage = 0;  // owned bytes that no field shows any more

    HeaderStore() { fields.reserve(first_fields); }

    /// A copy of `text` that lives as long as this.
    [[nodiscard]] std::string_view keep(std::string_view text);
    /// Appends a field that owns its text. Both may be views of text that this owns already.
    void push(std::string_view name, std::string_view value);
    void clear() noexcept;
    [[nodiscard]] bool worth_keeping() const noexcept;

    [[nodiscard]] static HeaderStore* take();
    static void give(HeaderStore* store) noexcept;

private:
    struct Chunk {
        std::unique_ptr<char[]> text;
        std::size_t size = 0;
        std::size_t used = 0;
    };

    [[nodiscard]] char* room(std::size_t bytes, std::vector<Chunk>& retired);
    void compact(std::vector<Chunk>& retired);
    [[nodiscard]] std::size_t owned() const noexcept;

    std::vector<Chunk> chunks_;
};

/// The door of those whose fields are views, neither checked nor copied: the decoder's are of a connection's buffer,
/// the content types of responses are literals.
struct HeaderViews {
    /// The fields, with room for `count` more.
    [[nodiscard]] static std::vector<Header>& room(Headers& headers, std::size_t count);
    static void add(Headers& headers, std::string_view name, std::string_view value);
    /// Empty, with its memory kept for the next message.
    static void reset(Headers& headers) noexcept;
};

/// Throws `HeaderError` unless a field of this name and value may be sent.
void check_header(std::string_view name, std::string_view value);

}  // namespace coaio::http::detail
