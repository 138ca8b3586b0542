// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/codec.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// The literal forms of what has parts: composites, ranges, multiranges, arrays.
namespace coaio::db::detail {

/// Reads one front to back. Whatever is not there, is a ValueError that calls it `what`.
class LiteralReader {
public:
    LiteralReader(std::string_view text, const char* what) noexcept : text_(text), what_(what) {}

    [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
    [[nodiscard]] char peek() const;
    char take();
    /// Takes exactly this.
    void expect(char c);
    void expect_end() const;
    [[nodiscard]] std::string_view rest() const noexcept { return text_.substr(at_); }
    /// The word up to one of `stops`, without its quotes; nullopt where there is not even a pair of them.
    [[nodiscard]] std::optional<std::string> part(std::string_view stops);
    [[noreturn]] void bad() const;

private:
    std::string_view text_;
    const char* what_;
    std::size_t at_ = 0;
};

/// As a part of a composite or a range: where need be in quotes, with those inside doubled.
void put_part(std::string_view text, Encoder& out);

/// The text form of a value that a codec has encoded in binary. Throws ValueError for a type that has none here.
[[nodiscard]] std::string text_of(Oid type, std::string_view binary);

}  // namespace coaio::db::detail
