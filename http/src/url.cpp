// SPDX-License-Identifier: MIT
#include <coaio/http/url.hpp>

#include "text.hpp"
#include "url_host.hpp"

#include <coaio/http/error.hpp>

#include <algorithm>

namespace coaio::http {

using namespace detail;

namespace {

constexpr std::size_t longest_url = 64 * 1024;

struct Scheme {
    std::string_view name;
    std::uint16_t port;
};
constexpr Scheme special[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}, {"ftp", 21}};

const Scheme* special_scheme(std::string_view name) {
    for (const auto& scheme : special) {
        if (scheme.name == name) return &scheme;
    }
    return nullptr;
}

void append_encoded(std::string& out, char c) {
    static constexpr char digits[] = "0123456789ABCDEF";
    out += '%';
    out += digits[byte(c) >> 4];
    out += digits[byte(c) & 15];
}

// Encodes control characters, bytes beyond ASCII, and `also`. A percent-encoding that is there is kept, its digits in
// upper case; where it stands for an unreserved character it is decoded (RFC 3986 section 6.2.2.2).
std::string normal_part(std::string_view text, std::string_view also) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            char meant = static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            if (is_alnum(meant) || meant == '-' || meant == '.' || meant == '_' || meant == '~') {
                out += meant;
            } else {
                append_encoded(out, meant);
            }
            i += 2;
        } else if (byte(c) <= 0x20 || byte(c) >= 0x7f || also.find(c) != also.npos) {
            append_encoded(out, c);
        } else {
            out += c;
        }
    }
    return out;
}

// The segments of a path without dot segments (RFC 3986 section 5.2.4); `path` starts with a slash.
std::string without_dots(std::string_view path) {
    std::string out;
    out.reserve(path.size());
    std::size_t at = 0;
    while (at < path.size()) {
        auto end = std::min(path.find('/', at + 1), path.size());
        auto segment = path.substr(at + 1, end - at - 1);
        bool last = end == path.size();
        if (segment == "..") {
            auto slash = out.rfind('/');
            out.resize(slash == out.npos ? 0 : slash);
            if (last) out += '/';
        } else if (segment == ".") {
            if (last) out += '/';
        } else {
            (out += '/') += segment;
        }
        at = end;
    }
    return out.empty() ? "/" : out;
}

constexpr std::string_view path_set = "\"#<>?`{}^";
constexpr std::string_view query_set = "\"#<>'";
constexpr std::string_view fragment_set = "\"<>`";
constexpr std::string_view user_set = "\"#<>?`{}/:;=@[\\]^|";

}  // namespace

class UrlParser {
public:
    UrlParser(std::string_view text, const Url* base) : base_(base) {
        if (text.size() > longest_url) throw UrlError("a URL of " + std::to_string(text.size()) + " bytes is too long");
        while (!text.empty() && byte(text.front()) <= 0x20) text.remove_prefix(1);
        while (!text.empty() && byte(text.back()) <= 0x20) text.remove_suffix(1);
        text_.reserve(text.size());
        for (char c : text) {
            if (c != '\t' && c != '\n' && c != '\r') text_ += c;
        }
    }

    Url run() {
        std::string_view rest = text_;
        if (auto hash = rest.find('#'); hash != rest.npos) {
            url_.fragment_ = normal_part(rest.substr(hash + 1), fragment_set);
            rest = rest.substr(0, hash);
        }
        auto scheme = scheme_in(rest);
        // "http:page" in a page of the same scheme is as good as "page": pages of old write it.
        bool same = base_ != nullptr && scheme && special_scheme(*scheme) != nullptr && *scheme == base_->scheme_;
        if (scheme) {
            rest.remove_prefix(scheme->size() + 1);
            if (!same || starts_with_slashes(rest)) {
                url_.scheme_ = *scheme;
                absolute(rest);
                return std::move(url_);
            }
        }
        if (base_ == nullptr) throw UrlError("\"" + shown(text_) + "\" is no absolute URL: it has no scheme");
        relative(rest);
        return std::move(url_);
    }

private:
    static std::optional<std::string> scheme_in(std::string_view text) {
        auto colon = text.find(':');
        if (colon == text.npos || colon == 0 || !is_alpha(text[0])) return std::nullopt;
        for (char c : text.substr(0, colon)) {
            if (!is_alnum(c) && c != '+' && c != '-' && c != '.') return std::nullopt;
        }
        return lowered(text.substr(0, colon));
    }

    [[nodiscard]] bool is_special() const { return special_scheme(url_.scheme_) != nullptr; }
    static bool is_slash(char c, bool web) { return c == '/' || (web && c == '\\'); }
    static bool starts_with_slashes(std::string_view rest) {
        return rest.size() >= 2 && is_slash(rest[0], true) && is_slash(rest[1], true);
    }

    void absolute(std::string_view rest) {
        if (is_special()) {
            while (!rest.empty() && is_slash(rest[0], true)) rest.remove_prefix(1);
            authority_and_path(rest);
        } else if (rest.substr(0, 2) == "//") {
            authority_and_path(rest.substr(2));
        } else {
            rest = take_query(rest);
            bool rooted = !rest.empty() && rest[0] == '/';
            url_.path_ = rooted ? without_dots(normal_part(rest, path_set)) : normal_part(rest, "");
        }
    }

    void authority_and_path(std::string_view rest) {
        auto end = rest.find_first_of(is_special() ? "/\\?" : "/?");
        authority(rest.substr(0, end));
        path_and_query(end == rest.npos ? std::string_view{} : rest.substr(end));
    }

    void authority(std::string_view text) {
        url_.has_authority_ = true;
        if (auto at = text.rfind('@'); at != text.npos) {
            auto user = text.substr(0, at);
            auto colon = user.find(':');
            url_.user_ = normal_part(user.substr(0, colon), user_set);
            if (colon != user.npos) url_.password_ = normal_part(user.substr(colon + 1), user_set);
            text.remove_prefix(at + 1);
        }
        auto bracket = text.rfind(']');
        auto colon = text.rfind(':');
        if (colon != text.npos && (bracket == text.npos || colon > bracket)) {
            auto port = text.substr(colon + 1);
            if (!port.empty()) {
                auto number = parse_uint(port, 65535);
                if (!number) throw UrlError("the port \"" + shown(port) + "\" is not a number up to 65535");
                auto scheme = special_scheme(url_.scheme_);
                if (scheme == nullptr || scheme->port != *number) url_.port_ = static_cast<std::uint16_t>(*number);
            }
            text = text.substr(0, colon);
        }
        if (is_special() || !text.empty()) url_.host_ = normal_host(text);
    }

    std::string_view take_query(std::string_view rest) {
        auto mark = rest.find('?');
        if (mark == rest.npos) return rest;
        url_.query_ = normal_part(rest.substr(mark + 1), query_set);
        return rest.substr(0, mark);
    }

    [[nodiscard]] std::string slashes(std::string_view path) const {
        std::string out(path);
        if (is_special()) std::replace(out.begin(), out.end(), '\\', '/');
        return out;
    }

    void path_and_query(std::string_view rest) {
        auto path = slashes(take_query(rest));
        if (path.empty() && !is_special()) return;
        if (path.empty() || path[0] != '/') path.insert(0, 1, '/');
        url_.path_ = without_dots(normal_part(path, path_set));
    }

    void relative(std::string_view rest) {
        bool fragment_only = rest.empty() && url_.fragment_;
        if (!base_->has_authority_ && (base_->path_.empty() || base_->path_[0] != '/') && !fragment_only) {
            throw UrlError("\"" + shown(text_) + "\" is relative, and a " + base_->scheme_ + " URL is no base");
        }
        auto fragment = std::move(url_.fragment_);
        url_ = *base_;
        url_.fragment_ = std::move(fragment);
        bool special_base = is_special();
        if (rest.empty()) return;
        if (rest.size() >= 2 && is_slash(rest[0], special_base) && is_slash(rest[1], special_base)) {
            url_.user_.clear();
            url_.password_.clear();
            url_.host_.clear();
            url_.port_.reset();
            url_.query_.reset();
            url_.path_.clear();
            absolute(rest);
            return;
        }
        url_.query_.reset();
        auto path = slashes(take_query(rest));
        if (path.empty()) {
            return;  // the query only
        }
        if (path[0] != '/') path = base_->path_.substr(0, base_->path_.rfind('/') + 1) + path;
        if (path[0] != '/') path.insert(0, 1, '/');
        url_.path_ = without_dots(normal_part(path, path_set));
    }

    const Url* base_;
    std::string text_;
    Url url_;
};

Url Url::parse(std::string_view text) { return UrlParser(text, nullptr).run(); }
Url Url::resolve(std::string_view reference) const { return UrlParser(reference, this).run(); }

std::optional<Url> Url::try_parse(std::string_view text) {
    try {
        return parse(text);
    } catch (const UrlError&) {
        return std::nullopt;
    }
}

std::optional<Url> Url::try_resolve(std::string_view reference) const {
    try {
        return resolve(reference);
    } catch (const UrlError&) {
        return std::nullopt;
    }
}

std::string_view Url::host_name() const noexcept {
    std::string_view name = host_;
    return !name.empty() && name[0] == '[' ? name.substr(1, name.size() - 2) : name;
}

std::uint16_t Url::port_or_default() const noexcept {
    const auto* scheme = special_scheme(scheme_);
    return port_ ? *port_ : scheme != nullptr ? scheme->port : std::uint16_t{0};
}

std::string Url::authority() const { return port_ ? host_ + ":" + std::to_string(*port_) : host_; }

std::string Url::origin() const { return scheme_ + "://" + authority(); }

std::string Url::target() const {
    std::string out = path_.empty() ? "/" : path_;
    if (query_) (out += '?') += *query_;
    return out;
}

std::string Url::to_string() const {
    std::string out = scheme_ + ":";
    if (has_authority_) {
        out += "//";
        if (!user_.empty() || !password_.empty()) {
            out += user_;
            if (!password_.empty()) (out += ':') += password_;
            out += '@';
        }
        out += authority();
    } else if (path_.substr(0, 2) == "//") {
        out += "/.";  // else the path would read as an authority
    }
    out += path_;
    if (query_) (out += '?') += *query_;
    if (fragment_) (out += '#') += *fragment_;
    return out;
}

Url Url::without_fragment() const {
    Url url = *this;
    url.fragment_.reset();
    return url;
}

Url Url::without_credentials() const {
    Url url = *this;
    url.user_.clear();
    url.password_.clear();
    return url;
}

Url Url::with_query(std::string_view query) const {
    Url url = *this;
    url.query_ = normal_part(query, query_set);
    return url;
}

std::string percent_encode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            out += c;
        } else {
            append_encoded(out, c);
        }
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

namespace {

std::string decode_form(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            out += ' ';
        } else if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                   hex_digit(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string encode_form(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '*') {
            out += c;
        } else if (c == ' ') {
            out += '+';
        } else {
            append_encoded(out, c);
        }
    }
    return out;
}

}  // namespace

QueryItems parse_query(std::string_view query, std::size_t max_items) {
    QueryItems items;
    while (!query.empty() && items.size() < max_items) {
        auto end = std::min(query.find('&'), query.size());
        auto item = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (item.empty()) continue;
        auto equals = item.find('=');
        items.emplace_back(decode_form(item.substr(0, equals)),
                           equals == item.npos ? std::string() : decode_form(item.substr(equals + 1)));
    }
    return items;
}

std::string build_query(const QueryItems& items) {
    std::string out;
    for (const auto& [name, value] : items) {
        if (!out.empty()) out += '&';
        ((out += encode_form(name)) += '=') += encode_form(value);
    }
    return out;
}

}  // namespace coaio::http
