// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::http {

/// One header: its name as it was written, its value without the spaces around it.
struct Header {
    std::string_view name;
    std::string_view value;
};

namespace detail {
struct HeaderStore;
struct HeaderViews;
}  // namespace detail

/// The headers of a message (RFC 9110 section 5): in order, names in any case, a name as often as it was sent.
/// An empty one costs nothing; its memory comes from a per-thread pool and goes back there.
///
/// Errors: a name that is no token, or a value with a line break, a NUL or another control character, is refused with
/// `HeaderError`, and nothing changes: what you set cannot become a second header.
/// Lifetime: the views it hands out are good until it is changed or destroyed. The headers of a request are views into
/// the connection's memory and good as long as the handler runs; a copy owns its text.
///
///     Headers headers;
///     headers.add("Content-Type", "text/plain").add("X-Id", "7");
///     if (auto id = headers.get("x-id")) …
class Headers {
public:
    using value_type = Header;
    using const_iterator = const Header*;

    Headers() noexcept = default;
    Headers(std::initializer_list<Header> headers);
    Headers(const Headers& other);
    Headers(Headers&& other) noexcept : store_(std::exchange(other.store_, nullptr)) {}
    Headers& operator=(const Headers& other);
    Headers& operator=(Headers&& other) noexcept;
    ~Headers();

    /// Appends one more, whether or not there is one of this name.
    Headers& add(std::string_view name, std::string_view value);
    /// The one and only of this name from now on; it keeps the place of the first.
    Headers& set(std::string_view name, std::string_view value);
    /// Returns how many there were.
    std::size_t remove(std::string_view name) noexcept;
    void clear() noexcept;

    /// The value of the first of this name.
    [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const noexcept;
    [[nodiscard]] std::string_view get_or(std::string_view name, std::string_view otherwise) const noexcept;
    [[nodiscard]] std::vector<std::string_view> get_all(std::string_view name) const;
    /// All values of this name in one list, as RFC 9110 section 5.3 joins them. Not for Set-Cookie.
    [[nodiscard]] std::string joined(std::string_view name) const;
    [[nodiscard]] bool contains(std::string_view name) const noexcept { return get(name).has_value(); }
    /// Whether one of the comma-separated values of `name` is `word`, in any case: `has_word("Connection", "close")`.
    [[nodiscard]] bool has_word(std::string_view name, std::string_view word) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] const_iterator begin() const noexcept;
    [[nodiscard]] const_iterator end() const noexcept { return begin() + size(); }
    [[nodiscard]] const Header& operator[](std::size_t index) const noexcept { return begin()[index]; }

    /// The same names (in any case) and values in the same order.
    [[nodiscard]] friend bool operator==(const Headers& a, const Headers& b) noexcept { return equal(a, b); }

private:
    friend struct detail::HeaderViews;

    [[nodiscard]] static bool equal(const Headers& a, const Headers& b) noexcept;
    detail::HeaderStore& store();

    detail::HeaderStore* store_ = nullptr;
};

}  // namespace coaio::http
