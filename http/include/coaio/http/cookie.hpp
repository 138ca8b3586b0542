// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/date.hpp>
#include <coaio/http/headers.hpp>
#include <coaio/http/url.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::http {

/// The pairs of a Cookie header in order (RFC 6265bis section 4.2); views into `header`. A pair without a name is left
/// out, quotes around a value are part of it.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> parse_cookies(std::string_view header);

enum class SameSite : std::uint8_t { unset, none, lax, strict };

/// One Set-Cookie header.
///
///     response.add_cookie(SetCookie("session", id).path("/").max_age(1h).http_only().secure());
class SetCookie {
public:
    /// Throws `HeaderError` where the name is no token, or the value has a space, comma, semicolon, quote, backslash or
    /// control character: encode such a value first, with `percent_encode` say.
    SetCookie(std::string_view name, std::string_view value);

    /// What a server sent, as a browser reads it (RFC 6265bis section 5.6): nearly everything goes. Nothing where there
    /// is no cookie in it, or one longer than 4096 bytes.
    [[nodiscard]] static std::optional<SetCookie> parse(std::string_view header);

    SetCookie& domain(std::string_view domain);
    SetCookie& path(std::string_view path);
    SetCookie& max_age(std::chrono::seconds age);
    SetCookie& expires(WallTime when);
    SetCookie& secure(bool on = true);
    SetCookie& http_only(bool on = true);
    SetCookie& same_site(SameSite rule);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::string& value() const noexcept { return value_; }
    [[nodiscard]] const std::string& domain() const noexcept { return domain_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::optional<std::chrono::seconds> max_age() const noexcept { return max_age_; }
    [[nodiscard]] std::optional<WallTime> expires() const noexcept { return expires_; }
    [[nodiscard]] bool is_secure() const noexcept { return secure_; }
    [[nodiscard]] bool is_http_only() const noexcept { return http_only_; }
    [[nodiscard]] SameSite same_site() const noexcept { return same_site_; }

    /// The header's value.
    [[nodiscard]] std::string to_string() const;

private:
    SetCookie() = default;
    void read_attribute(std::string_view name, std::string_view value);

    std::string name_, value_, domain_, path_;
    std::optional<std::chrono::seconds> max_age_;
    std::optional<WallTime> expires_;
    SameSite same_site_ = SameSite::unset;
    bool secure_ = false;
    bool http_only_ = false;
};

/// The cookies that a client holds (RFC 6265bis section 5.7 and 5.8). Time comes in as an argument.
///
/// A cookie goes back to the host that set it, or, if it named a domain, to that domain and the hosts below; to its path
/// and below; a Secure one over TLS only, and only there can it be set. There is no list of public suffixes here: a
/// domain of one label is refused, one such as `co.uk` is not. Bounded: at most `max_cookies`, and `max_per_host`; the
/// one unused for longest goes first.
class CookieJar {
public:
    explicit CookieJar(std::size_t max_cookies = 3000, std::size_t max_per_host = 100);

    /// Takes what a response of `url` sets. Refused cookies are left out silently, as browsers do.
    void store(const Url& url, const Headers& response, WallTime now);
    void store(const Url& url, const SetCookie& cookie, WallTime now);

    /// The value of the Cookie header for a request to `url`; empty for none.
    [[nodiscard]] std::string header_for(const Url& url, WallTime now);

    [[nodiscard]] std::size_t size() const noexcept { return cookies_.size(); }
    void clear() noexcept { cookies_.clear(); }

private:
    struct Entry {
        std::string name, value, domain, path;
        std::optional<WallTime> expires;
        std::uint64_t created = 0;
        std::uint64_t used = 0;
        bool host_only = true;
        bool secure = false;
    };

    void drop_expired(WallTime now);
    void make_room(const std::string& domain);

    std::vector<Entry> cookies_;
    std::size_t max_cookies_;
    std::size_t max_per_host_;
    std::uint64_t tick_ = 0;
};

}  // namespace coaio::http
