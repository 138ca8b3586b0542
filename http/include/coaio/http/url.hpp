// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::http {

/// A URL, absolute and normalised: as the URL standard of the web reads it where that differs from RFC 3986, since it
/// has to understand what pages and servers write.
///
/// Scheme and host are in lower case, the default port is gone, dot segments are resolved, what must be
/// percent-encoded is, with digits in upper case; tabs and line breaks within the text and spaces around it are
/// dropped, and in http(s) a backslash is a slash. Two URLs of one page mostly compare equal.
///
/// Errors: `UrlError` says what is wrong. Hosts beyond ASCII are refused: write them in their `xn--` form, which is
/// passed through as it is. URLs longer than 64 KiB are refused.
///
///     auto base = Url::parse("https://Example.org:443/a/./b?q");
///     auto link = base.resolve("../c#top");      // https://example.org/c#top
class Url {
public:
    /// Throws `UrlError`.
    [[nodiscard]] static Url parse(std::string_view text);
    [[nodiscard]] static std::optional<Url> try_parse(std::string_view text);

    /// What a reference in a document at this URL leads to (RFC 3986 section 5). Throws `UrlError`.
    [[nodiscard]] Url resolve(std::string_view reference) const;
    [[nodiscard]] std::optional<Url> try_resolve(std::string_view reference) const;

    /// In lower case, without the colon.
    [[nodiscard]] const std::string& scheme() const noexcept { return scheme_; }
    /// Percent-encoded; empty if there is none.
    [[nodiscard]] const std::string& user() const noexcept { return user_; }
    [[nodiscard]] const std::string& password() const noexcept { return password_; }
    /// In lower case; an IPv6 address stands in brackets. Empty for schemes such as `mailto`.
    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    /// `host()` without brackets: what a connection is opened to.
    [[nodiscard]] std::string_view host_name() const noexcept;
    /// As written; nothing if it is the scheme's own.
    [[nodiscard]] std::optional<std::uint16_t> port() const noexcept { return port_; }
    /// The port to connect to: as written, or the scheme's own; 0 for a scheme without one.
    [[nodiscard]] std::uint16_t port_or_default() const noexcept;
    /// With its first slash; for schemes such as `mailto`, all that follows the colon.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Without the question mark. "?" alone is an empty query, which is not the same page as none.
    [[nodiscard]] const std::optional<std::string>& query() const noexcept { return query_; }
    /// Without the hash sign.
    [[nodiscard]] const std::optional<std::string>& fragment() const noexcept { return fragment_; }

    [[nodiscard]] bool is_http() const noexcept { return scheme_ == "http" || scheme_ == "https"; }
    [[nodiscard]] bool is_secure() const noexcept { return scheme_ == "https" || scheme_ == "wss"; }

    /// The value of the Host header: host, and the port unless it is the scheme's own.
    [[nodiscard]] std::string authority() const;
    /// `https://example.org:8443`
    [[nodiscard]] std::string origin() const;
    /// The request target: path and query.
    [[nodiscard]] std::string target() const;
    [[nodiscard]] std::string to_string() const;

    /// The same page: what stands in a request, and so in a set of visited pages.
    [[nodiscard]] Url without_fragment() const;
    [[nodiscard]] Url without_credentials() const;
    /// Replaces the query; percent-encodes what must be.
    [[nodiscard]] Url with_query(std::string_view query) const;

    [[nodiscard]] friend bool operator==(const Url&, const Url&) = default;
    [[nodiscard]] friend bool operator<(const Url& a, const Url& b) { return a.to_string() < b.to_string(); }

private:
    friend class UrlParser;
    Url() = default;

    std::string scheme_, user_, password_, host_, path_;
    std::optional<std::string> query_, fragment_;
    std::optional<std::uint16_t> port_;
    bool has_authority_ = false;
};

/// Percent-encodes all but letters, digits and `-._~`: fit for any place in a URL.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// The bytes that are meant; nothing for a `%` without two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

using QueryItems = std::vector<std::pair<std::string, std::string>>;

/// The names and values of `a=1&b=two+words` (application/x-www-form-urlencoded), in order. A broken `%` stays as it is,
/// as browsers do; no more than `max_items` are taken.
[[nodiscard]] QueryItems parse_query(std::string_view query, std::size_t max_items = 1000);
[[nodiscard]] std::string build_query(const QueryItems& items);

}  // namespace coaio::http
