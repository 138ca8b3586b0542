// SPDX-License-Identifier: MIT
#include <coaio/http/cookie.hpp>

#include "text.hpp"

#include <coaio/http/error.hpp>

#include <algorithm>

namespace coaio::http {

using namespace detail;

namespace {

constexpr std::size_t longest_cookie = 4096;
constexpr std::size_t longest_attribute = 1024;
constexpr std::chrono::hours longest_age{24 * 400};

bool is_cookie_byte(char c) {
    return byte(c) > 0x20 && byte(c) < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

bool is_attribute_text(std::string_view text) {
    for (char c : text) {
        if (byte(c) < 0x20 || byte(c) >= 0x7f || c == ';') return false;
    }
    return true;
}

bool is_address(std::string_view host) {
    if (host.empty() || host[0] == '[') return true;
    auto last = host.substr(host.rfind('.') + 1);  // npos + 1 is 0
    return std::all_of(last.begin(), last.end(), is_digit);
}

// RFC 6265bis section 5.1.3
bool domain_matches(std::string_view host, std::string_view domain) {
    if (host == domain) return true;
    return host.size() > domain.size() && host.substr(host.size() - domain.size()) == domain &&
           host[host.size() - domain.size() - 1] == '.' && !is_address(host);
}

// RFC 6265bis section 5.1.4
bool path_matches(std::string_view path, std::string_view cookie) {
    if (path.substr(0, cookie.size()) != cookie) return false;
    return path.size() == cookie.size() || cookie.back() == '/' || path[cookie.size()] == '/';
}

std::string default_path(std::string_view path) {
    auto slash = path.rfind('/');
    if (slash == path.npos || slash == 0) return "/";
    return std::string(path.substr(0, slash));
}

bool starts_with(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() && iequals(text.substr(0, prefix.size()), prefix);
}

}  // namespace

std::vector<std::pair<std::string_view, std::string_view>> parse_cookies(std::string_view header) {
    std::vector<std::pair<std::string_view, std::string_view>> pairs;
    while (!header.empty()) {
        auto end = std::min(header.find(';'), header.size());
        auto pair = trim(header.substr(0, end));
        header.remove_prefix(std::min(end + 1, header.size()));
        auto equals = pair.find('=');
        if (equals == pair.npos) continue;
        auto name = trim(pair.substr(0, equals));
        if (!name.empty()) pairs.emplace_back(name, trim(pair.substr(equals + 1)));
    }
    return pairs;
}

SetCookie::SetCookie(std::string_view name, std::string_view value) : name_(name), value_(value) {
    if (!is_token(name)) throw HeaderError("the cookie name \"" + shown(name) + "\" is not a token");
    for (char c : value) {
        if (!is_cookie_byte(c)) {
            throw HeaderError("the value of the cookie " + name_ + " has a byte that no cookie may have (" +
                              shown({&c, 1}) + "); percent_encode it");
        }
    }
    if (name.size() + value.size() > longest_cookie) {
        throw HeaderError("the cookie " + name_ + " is longer than " + std::to_string(longest_cookie) + " bytes");
    }
}

SetCookie& SetCookie::domain(std::string_view domain) {
    bool fits = !domain.empty();
    for (char c : domain) fits = fits && (is_alnum(c) || c == '.' || c == '-' || c == '_');
    if (!fits) throw HeaderError("\"" + shown(domain) + "\" is no domain for the cookie " + name_);
    domain_ = lowered(domain[0] == '.' ? domain.substr(1) : domain);
    return *this;
}

SetCookie& SetCookie::path(std::string_view path) {
    if (path.empty() || path[0] != '/' || !is_attribute_text(path)) {
        throw HeaderError("\"" + shown(path) + "\" is no path for the cookie " + name_);
    }
    path_ = path;
    return *this;
}

SetCookie& SetCookie::max_age(std::chrono::seconds age) {
    max_age_ = age;
    return *this;
}

SetCookie& SetCookie::expires(WallTime when) {
    expires_ = when;
    return *this;
}

SetCookie& SetCookie::secure(bool on) {
    secure_ = on;
    return *this;
}

SetCookie& SetCookie::http_only(bool on) {
    http_only_ = on;
    return *this;
}

SetCookie& SetCookie::same_site(SameSite rule) {
    same_site_ = rule;
    return *this;
}

std::optional<SetCookie> SetCookie::parse(std::string_view header) {
    for (char c : header) {
        if ((byte(c) < 0x20 && c != '\t') || byte(c) == 0x7f) return std::nullopt;
    }
    auto end = std::min(header.find(';'), header.size());
    auto pair = header.substr(0, end);
    header.remove_prefix(end);
    SetCookie cookie;
    auto equals = pair.find('=');
    cookie.name_ = trim(equals == pair.npos ? std::string_view{} : pair.substr(0, equals));
    cookie.value_ = trim(equals == pair.npos ? pair : pair.substr(equals + 1));
    if (cookie.name_.empty() || cookie.name_.size() + cookie.value_.size() > longest_cookie) return std::nullopt;
    while (!header.empty()) {
        header.remove_prefix(1);  // the semicolon
        end = std::min(header.find(';'), header.size());
        auto attribute = header.substr(0, end);
        header.remove_prefix(end);
        equals = attribute.find('=');
        auto value = equals == attribute.npos ? std::string_view{} : trim(attribute.substr(equals + 1));
        if (value.size() <= longest_attribute) cookie.read_attribute(trim(attribute.substr(0, equals)), value);
    }
    return cookie;
}

void SetCookie::read_attribute(std::string_view name, std::string_view value) {
    if (iequals(name, "expires")) {
        if (auto when = parse_cookie_date(value)) expires_ = when;
    } else if (iequals(name, "max-age")) {
        bool negative = !value.empty() && value[0] == '-';
        auto digits = value.substr(negative ? 1 : 0);
        bool number = !digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit);
        if (!number) return;
        auto seconds = parse_uint(digits, 400 * 86400ULL).value_or(400 * 86400ULL);
        max_age_ = std::chrono::seconds(negative ? 0 : static_cast<std::int64_t>(seconds));
    } else if (iequals(name, "domain")) {
        domain_ = lowered(!value.empty() && value[0] == '.' ? value.substr(1) : value);
    } else if (iequals(name, "path")) {
        path_ = !value.empty() && value[0] == '/' ? value : std::string_view{};
    } else if (iequals(name, "secure")) {
        secure_ = true;
    } else if (iequals(name, "httponly")) {
        http_only_ = true;
    } else if (iequals(name, "samesite")) {
        same_site_ = iequals(value, "strict") ? SameSite::strict
                     : iequals(value, "lax")  ? SameSite::lax
                     : iequals(value, "none") ? SameSite::none
                                              : SameSite::unset;
    }
}

std::string SetCookie::to_string() const {
    std::string out = name_ + "=" + value_;
    if (!domain_.empty()) (out += "; Domain=") += domain_;
    if (!path_.empty()) (out += "; Path=") += path_;
    if (max_age_) (out += "; Max-Age=") += std::to_string(max_age_->count());
    if (expires_) (out += "; Expires=") += format_date(*expires_);
    if (secure_) out += "; Secure";
    if (http_only_) out += "; HttpOnly";
    switch (same_site_) {
    case SameSite::unset: break;
    case SameSite::none: out += "; SameSite=None"; break;
    case SameSite::lax: out += "; SameSite=Lax"; break;
    case SameSite::strict: out += "; SameSite=Strict"; break;
    }
    return out;
}

CookieJar::CookieJar(std::size_t max_cookies, std::size_t max_per_host)
    : max_cookies_(max_cookies), max_per_host_(max_per_host) {}

void CookieJar::store(const Url& url, const Headers& response, WallTime now) {
    for (const auto& header : response) {
        if (!iequals(header.name, "set-cookie")) continue;
        if (auto cookie = SetCookie::parse(header.value)) store(url, *cookie, now);
    }
}

void CookieJar::store(const Url& url, const SetCookie& cookie, WallTime now) {
    if (!url.is_http()) return;
    Entry entry;
    entry.name = cookie.name();
    entry.value = cookie.value();
    entry.secure = cookie.is_secure();
    entry.host_only = cookie.domain().empty() || cookie.domain() == url.host();
    // A domain equal to the host covers the hosts below too, unless the host is an address.
    if (!cookie.domain().empty() && cookie.domain() == url.host() && !is_address(url.host())) entry.host_only = false;
    if (!entry.host_only) {
        bool one_label = cookie.domain().find('.') == std::string::npos;
        if (!domain_matches(url.host(), cookie.domain())) return;
        if (one_label && cookie.domain() != url.host()) return;
        if (one_label) entry.host_only = true;
    }
    entry.domain = entry.host_only ? url.host() : cookie.domain();
    entry.path = cookie.path().empty() ? default_path(url.path()) : cookie.path();
    if (entry.secure && !url.is_secure()) return;
    if (starts_with(entry.name, "__Secure-") && !entry.secure) return;
    if (starts_with(entry.name, "__Host-") && (!entry.secure || !cookie.domain().empty() || cookie.path() != "/"))
        return;
    if (cookie.max_age()) {
        entry.expires = *cookie.max_age() <= std::chrono::seconds(0) ? WallTime::min() : now + *cookie.max_age();
    } else if (cookie.expires()) {
        entry.expires = std::min(*cookie.expires(), now + longest_age);
    }

    for (auto& old : cookies_) {
        bool same = old.name == entry.name && old.domain == entry.domain && old.path == entry.path;
        // Plain http cannot put its own beside or over a secure one (RFC 6265bis section 5.7, step 11).
        bool hidden = !url.is_secure() && old.secure && old.name == entry.name &&
                      (domain_matches(old.domain, entry.domain) || domain_matches(entry.domain, old.domain)) &&
                      path_matches(entry.path, old.path);
        if (hidden) return;
        if (!same) continue;
        entry.created = old.created;
        entry.used = ++tick_;
        old = std::move(entry);
        drop_expired(now);
        return;
    }
    if (entry.expires && *entry.expires <= now) return;
    drop_expired(now);
    make_room(entry.domain);
    entry.created = entry.used = ++tick_;
    cookies_.push_back(std::move(entry));
}

std::string CookieJar::header_for(const Url& url, WallTime now) {
    drop_expired(now);
    std::vector<Entry*> fits;
    for (auto& entry : cookies_) {
        bool host = entry.host_only ? url.host() == entry.domain : domain_matches(url.host(), entry.domain);
        if (!host || (entry.secure && !url.is_secure())) continue;
        if (path_matches(url.path().empty() ? "/" : std::string_view(url.path()), entry.path)) fits.push_back(&entry);
    }
    std::sort(fits.begin(), fits.end(), [](const Entry* a, const Entry* b) {
        return a->path.size() != b->path.size() ? a->path.size() > b->path.size() : a->created < b->created;
    });
    std::string out;
    for (auto* entry : fits) {
        entry->used = ++tick_;
        if (!out.empty()) out += "; ";
        ((out += entry->name) += '=') += entry->value;
    }
    return out;
}

void CookieJar::drop_expired(WallTime now) {
    std::erase_if(cookies_, [&](const Entry& entry) { return entry.expires && *entry.expires <= now; });
}

void CookieJar::make_room(const std::string& domain) {
    auto oldest = [&](auto fits) {
        auto found = cookies_.end();
        for (auto at = cookies_.begin(); at != cookies_.end(); ++at) {
            if (fits(*at) && (found == cookies_.end() || at->used < found->used)) found = at;
        }
        if (found != cookies_.end()) cookies_.erase(found);
    };
    auto here = [&](const Entry& entry) { return entry.domain == domain; };
    if (static_cast<std::size_t>(std::count_if(cookies_.begin(), cookies_.end(), here)) >= max_per_host_) oldest(here);
    if (cookies_.size() >= max_cookies_) oldest([](const Entry&) { return true; });
}

}  // namespace coaio::http
