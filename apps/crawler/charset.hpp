// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace crawl {

/// What kind of text it is: HTML may name its encoding inside itself.
enum class TextKind { html, other };

/// The encoding of a text that came over HTTP, as the HTML standard ("determining the character encoding") finds it:
/// a byte order mark, else the `charset` of `content_type`, else for HTML a `meta` in the first 1024 bytes, else
/// UTF-8 if all of it is valid UTF-8, else windows-1252. The answer is a name that iconv knows.
[[nodiscard]] std::string detect_charset(std::string_view body, std::string_view content_type, TextKind kind);

/// The text as UTF-8 without a byte order mark; U+FFFD stands for what `charset` cannot mean. An unknown name is
/// taken for windows-1252.
[[nodiscard]] std::string to_utf8(std::string_view body, std::string_view charset);

[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;

/// The longest beginning of `text` that has at most `size` bytes and cuts no character of UTF-8.
[[nodiscard]] std::string_view utf8_prefix(std::string_view text, std::size_t size) noexcept;

/// The value of a parameter of a header such as `text/html; charset="utf-8"`; empty if there is none.
[[nodiscard]] std::string_view header_parameter(std::string_view header, std::string_view name) noexcept;

/// `text/html` of `Text/HTML; charset=utf-8`.
[[nodiscard]] std::string media_type(std::string_view content_type);

}  // namespace crawl
