// SPDX-License-Identifier: MIT
#include "crawler/css.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

bool is_name_char(char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

void append_utf8(std::string& out, std::uint32_t code) {
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (code >> 18));
        out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    }
}

class Scanner {
public:
    Scanner(std::string_view text, std::size_t max_links, std::vector<Link>& links)
        : text_(text), max_links_(max_links), links_(links) {}

    void scan() {
        bool import = false;
        while (at_ < text_.size() && links_.size() < max_links_) {
            char c = text_[at_];
            if (skip_comment()) continue;
            if (is_space(c)) {
                ++at_;
            } else if (c == '"' || c == '\'') {
                auto value = quoted();
                if (import) add(value, LinkKind::stylesheet);
                import = false;
            } else if (c == '@') {
                ++at_;
                import = equal_ignoring_case(word(), "import");
            } else if (is_name_char(c)) {
                bool url = equal_ignoring_case(word(), "url") && at_ < text_.size() && text_[at_] == '(';
                if (url) add(function_argument(), import ? LinkKind::stylesheet : LinkKind::css);
                import = false;
            } else {
                at_ += c == '\\' ? 2 : 1;
                import = false;
            }
        }
    }

private:
    bool skip_comment() {
        if (text_.substr(at_, 2) != "/*") return false;
        auto end = text_.find("*/", at_ + 2);
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
        return true;
    }

    std::string_view word() {
        auto start = at_;
        while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
        return text_.substr(start, at_ - start);
    }

    void escape(std::string& out) {
        ++at_;
        if (at_ >= text_.size()) return;
        if (!is_hex_digit(text_[at_])) {
            if (text_[at_] != '\n') out += text_[at_];
            ++at_;
            return;
        }
        std::uint32_t code = 0;
        for (int digits = 0; digits < 6 && at_ < text_.size() && is_hex_digit(text_[at_]); ++digits) {
            code = code * 16 + static_cast<std::uint32_t>(hex_value(text_[at_++]));
        }
        if (at_ < text_.size() && is_space(text_[at_])) ++at_;
        append_utf8(out, code);
    }

    // A string ends at its quote; at the end of the line it was none.
    std::optional<std::string> quoted() {
        char quote = text_[at_++];
        std::string out;
        while (at_ < text_.size()) {
            char c = text_[at_];
            if (c == '\\') {
                escape(out);
            } else if (c == '\n') {
                return std::nullopt;
            } else {
                ++at_;
                if (c == quote) break;
                out += c;
            }
        }
        return out;
    }

    std::optional<std::string> function_argument() {
        ++at_;
        skip_spaces();
        std::optional<std::string> value;
        if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
            value = quoted();
        } else {
            value.emplace();
            while (at_ < text_.size() && text_[at_] != ')' && !is_space(text_[at_])) {
                if (text_[at_] == '\\') {
                    escape(*value);
                } else {
                    *value += text_[at_++];
                }
            }
        }
        skip_spaces();
        if (at_ < text_.size() && text_[at_] == ')') {
            ++at_;
            return value;
        }
        return std::nullopt;
    }

    void skip_spaces() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }

    void add(const std::optional<std::string>& value, LinkKind kind) {
        if (!value) return;
        auto target = trimmed(*value);
        if (target.empty() || target.front() == '#' || equal_ignoring_case(target.substr(0, 5), "data:")) return;
        Link link;
        link.target = target;
        link.kind = kind;
        links_.push_back(std::move(link));
    }

    std::string_view text_;
    std::size_t max_links_;
    std::vector<Link>& links_;
    std::size_t at_ = 0;
};

}  // namespace

void find_css_links(std::string_view text, std::size_t max_links, std::vector<Link>& links) {
    Scanner(text, max_links, links).scan();
}

}  // namespace crawl
