// SPDX-License-Identifier: MIT
#include "crawler/charset.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include <iconv.h>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";
constexpr std::size_t prescan_size = 1024;

// Labels that the Encoding standard gives another meaning than iconv does.
constexpr std::array<std::pair<std::string_view, std::string_view>, 31> labels{{
    {"ascii", "WINDOWS-1252"},
    {"us-ascii", "WINDOWS-1252"},
    {"ansi_x3.4-1968", "WINDOWS-1252"},
    {"iso-8859-1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"iso_8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"l1", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
    {"x-cp1252", "WINDOWS-1252"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"latin5", "WINDOWS-1254"},
    {"iso-8859-11", "WINDOWS-874"},
    {"tis-620", "WINDOWS-874"},
    {"utf8", "UTF-8"},
    {"unicode-1-1-utf-8", "UTF-8"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"x-gbk", "GB18030"},
    {"gb_2312-80", "GB18030"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"x-sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"big5", "BIG5-HKSCS"},
    {"utf-16", "UTF-16LE"},
    {"unicode", "UTF-16LE"},
    {"x-user-defined", "WINDOWS-1252"},
}};

bool is_label(std::string_view text) {
    if (text.empty() || text.size() > 40) return false;
    for (char c : text) {
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_' && c != '.' && c != ':') return false;
    }
    return true;
}

class Converter {
public:
    explicit Converter(const std::string& from) : handle_(iconv_open("UTF-8", from.c_str())) {}
    ~Converter() {
        if (is_open()) iconv_close(handle_);
    }
    Converter(const Converter&) = delete;
    Converter& operator=(const Converter&) = delete;

    [[nodiscard]] bool is_open() const { return reinterpret_cast<std::intptr_t>(handle_) != -1; }
    std::size_t convert(char** in, std::size_t* in_left, char** out, std::size_t* out_left) {
        return iconv(handle_, in, in_left, out, out_left);
    }

private:
    iconv_t handle_;
};

// The name for iconv of what a document calls its encoding; nothing if nobody knows it.
std::optional<std::string> known_charset(std::string_view label) {
    label = trimmed(label);
    if (!is_label(label)) return std::nullopt;
    auto name = lower(label);
    for (const auto& [from, to] : labels) {
        if (name == from) return std::string(to);
    }
    if (name == "utf-7" || !Converter(name).is_open()) return std::nullopt;
    for (char& c : name) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    return name;
}

struct Attribute {
    std::string name;
    std::string value;
};

// Reads one attribute of a tag, as the prescan of the standard does; empty name at the end of the tag.
Attribute next_attribute(std::string_view text, std::size_t& at) {
    Attribute found;
    while (at < text.size() && (is_space(text[at]) || text[at] == '/')) ++at;
    while (at < text.size() && text[at] != '>' && text[at] != '=' && text[at] != '/' && !is_space(text[at])) {
        found.name += to_lower(text[at++]);
    }
    if (found.name.empty() && at < text.size() && text[at] == '=') ++at;
    while (at < text.size() && is_space(text[at])) ++at;
    if (at >= text.size() || text[at] != '=') return found;
    ++at;
    while (at < text.size() && is_space(text[at])) ++at;
    if (at >= text.size()) return found;
    if (char quote = text[at]; quote == '"' || quote == '\'') {
        auto end = text.find(quote, at + 1);
        found.value = text.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
        at = end == std::string_view::npos ? text.size() : end + 1;
        return found;
    }
    while (at < text.size() && text[at] != '>' && !is_space(text[at])) found.value += text[at++];
    return found;
}

std::string_view charset_in_content(std::string_view content) {
    auto at = find_ignoring_case(content, "charset");
    if (at == std::string_view::npos) return {};
    content = trimmed(content.substr(at + 7));
    if (content.empty() || content.front() != '=') return {};
    content = trimmed(content.substr(1));
    if (!content.empty() && (content.front() == '"' || content.front() == '\'')) {
        auto end = content.find(content.front(), 1);
        return end == std::string_view::npos ? std::string_view() : content.substr(1, end - 1);
    }
    return content.substr(0, content.find_first_of("; \t\r\n\f"));
}

std::optional<std::string> charset_of_meta(std::string_view text, std::size_t at) {
    std::string charset;
    std::string content;
    bool content_type = false;
    for (;;) {
        auto attribute = next_attribute(text, at);
        if (attribute.name.empty()) break;
        if (attribute.name == "charset" && charset.empty()) charset = attribute.value;
        if (attribute.name == "content" && content.empty()) content = attribute.value;
        if (attribute.name == "http-equiv") content_type = equal_ignoring_case(attribute.value, "content-type");
    }
    if (charset.empty() && content_type) charset = charset_in_content(content);
    auto found = known_charset(charset);
    if (found && found->substr(0, 6) == "UTF-16") found = "UTF-8";  // it could not have been read otherwise
    return found;
}

std::optional<std::string> prescan(std::string_view text) {
    text = text.substr(0, prescan_size);
    std::size_t at = 0;
    while ((at = text.find('<', at)) != std::string_view::npos) {
        if (text.substr(at, 4) == "<!--") {
            auto end = text.find("-->", at + 2);
            if (end == std::string_view::npos) return std::nullopt;
            at = end + 3;
        } else if (equal_ignoring_case(text.substr(at, 5), "<meta") && at + 5 < text.size() &&
                   (is_space(text[at + 5]) || text[at + 5] == '/')) {
            auto found = charset_of_meta(text, at + 5);
            if (found) return found;
            at += 5;
        } else {
            ++at;
        }
    }
    return std::nullopt;
}

// How many bytes the character at `at` has; 0 if there is none that UTF-8 allows (Unicode, table 3-7).
std::size_t character_size(std::string_view text, std::size_t at) noexcept {
    auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (text.size() - at < size) return 0;
    auto second = static_cast<unsigned char>(text[at + 1]);
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
        (first == 0xF4 && second > 0x8F)) {
        return 0;
    }
    for (std::size_t i = 1; i < size; ++i) {
        if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80) return 0;
    }
    return size;
}

// iconv cannot do this: glibc's lets code points above U+10FFFF pass.
std::string repaired_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 16);
    for (std::size_t i = 0; i < text.size();) {
        auto size = character_size(text, i);
        if (size > 0) {
            out += text.substr(i, size);
            i += size;
            continue;
        }
        out += replacement;
        ++i;
        while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) ++i;
    }
    return out;
}

std::optional<std::string> by_order_mark(std::string_view body) {
    if (body.substr(0, 3) == "\xEF\xBB\xBF") return "UTF-8";
    if (body.substr(0, 2) == "\xFE\xFF") return "UTF-16BE";
    if (body.substr(0, 2) == "\xFF\xFE") return "UTF-16LE";
    return std::nullopt;
}

}  // namespace

std::string_view header_parameter(std::string_view header, std::string_view name) noexcept {
    for (auto semicolon = header.find(';'); semicolon != std::string_view::npos;) {
        header.remove_prefix(semicolon + 1);
        auto equals = header.find_first_of("=;");
        if (equals == std::string_view::npos) return {};
        if (header[equals] == ';') {
            semicolon = equals;
            continue;
        }
        bool wanted = equal_ignoring_case(trimmed(header.substr(0, equals)), name);
        auto value = trimmed(header.substr(equals + 1));
        if (!value.empty() && value.front() == '"') {
            auto end = value.find('"', 1);
            if (wanted) return value.substr(1, end == std::string_view::npos ? end : end - 1);
            header = value.substr(end == std::string_view::npos ? value.size() : end + 1);
        } else {
            if (wanted) return trimmed(value.substr(0, value.find(';')));
            header = value;
        }
        semicolon = header.find(';');
    }
    return {};
}

std::string media_type(std::string_view content_type) {
    return lower(trimmed(content_type.substr(0, content_type.find(';'))));
}

std::string detect_charset(std::string_view body, std::string_view content_type, TextKind kind) {
    if (auto marked = by_order_mark(body)) return *marked;
    if (auto named = known_charset(header_parameter(content_type, "charset"))) return *named;
    if (kind == TextKind::html) {
        if (auto found = prescan(body)) return *found;
    }
    return is_valid_utf8(body) ? "UTF-8" : "WINDOWS-1252";
}

bool is_valid_utf8(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        auto size = character_size(text, i);
        if (size == 0) return false;
        i += size;
    }
    return true;
}

std::string_view utf8_prefix(std::string_view text, std::size_t size) noexcept {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
    return text.substr(0, size);
}

std::string to_utf8(std::string_view body, std::string_view charset) {
    auto name = known_charset(charset).value_or("WINDOWS-1252");
    bool utf16 = name.substr(0, 6) == "UTF-16";
    if (auto mark = by_order_mark(body); mark && *mark == name) body.remove_prefix(utf16 ? 2 : 3);
    if (name == "UTF-8") return is_valid_utf8(body) ? std::string(body) : repaired_utf8(body);

    Converter converter(name);
    std::string out;
    out.reserve(body.size() + body.size() / 8);
    std::array<char, 4096> piece{};
    char* in = const_cast<char*>(body.data());  // iconv's signature; it does not write there
    std::size_t in_left = body.size();
    while (in_left > 0) {
        char* to = piece.data();
        std::size_t to_left = piece.size();
        std::size_t result = converter.convert(&in, &in_left, &to, &to_left);
        int error = errno;
        out.append(piece.data(), piece.size() - to_left);
        if (result != static_cast<std::size_t>(-1) || error == E2BIG) continue;
        out += replacement;
        std::size_t skip = std::min<std::size_t>(utf16 ? 2 : 1, in_left);
        if (error == EINVAL) skip = in_left;  // the text ends within a character
        in += skip;
        in_left -= skip;
    }
    // Some encodings hold a character back, to see whether the next one belongs to it.
    char* to = piece.data();
    std::size_t to_left = piece.size();
    converter.convert(nullptr, nullptr, &to, &to_left);
    out.append(piece.data(), piece.size() - to_left);
    return is_valid_utf8(out) ? out : repaired_utf8(out);
}

}  // namespace crawl
