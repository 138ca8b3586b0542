// SPDX-License-Identifier: MIT
#include "url_host.hpp"

#include "text.hpp"

#include <coaio/http/error.hpp>
#include <coaio/http/url.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace coaio::http::detail {
namespace {

[[noreturn]] void refuse(std::string_view host, const char* why) {
    throw UrlError("the host \"" + shown(host) + "\" " + why);
}

// A number as the web's URLs write it in addresses: decimal, 0octal, 0xhex; nothing for anything else.
std::optional<std::uint64_t> loose_number(std::string_view text) {
    if (text.empty()) return std::nullopt;
    unsigned base = 10;
    if (text.size() >= 2 && text[0] == '0' && lower(text[1]) == 'x') {
        base = 16;
        text.remove_prefix(2);
    } else if (text.size() >= 2 && text[0] == '0') {
        base = 8;
        text.remove_prefix(1);
    }
    std::uint64_t value = 0;
    for (char c : text) {
        int digit = hex_digit(c);
        if (digit < 0 || static_cast<unsigned>(digit) >= base) return std::nullopt;
        value = value * base + static_cast<unsigned>(digit);
        if (value > UINT32_MAX) value = std::uint64_t{UINT32_MAX} + 1;
    }
    return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (;;) {
        auto end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

bool all_digits(std::string_view text) {
    for (char c : text) {
        if (!is_digit(c)) return false;
    }
    return !text.empty();
}

// Whether the last label is a number, so that the host has to be an IPv4 address.
bool ends_in_number(std::string_view host) {
    auto parts = split(host, '.');
    if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
    return all_digits(parts.back()) || (parts.back().size() >= 2 && parts.back()[0] == '0' &&
                                        lower(parts.back()[1]) == 'x' && loose_number(parts.back()).has_value());
}

std::string ipv4(std::string_view host) {
    auto parts = split(host, '.');
    if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
    if (parts.size() > 4) refuse(host, "ends in a number but is no IPv4 address");
    std::uint64_t address = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto number = loose_number(parts[i]);
        bool last = i + 1 == parts.size();
        std::uint64_t most = last ? (std::uint64_t{1} << (8 * (5 - parts.size()))) - 1 : 255;
        if (!number || *number > most) refuse(host, "ends in a number but is no IPv4 address");
        address |= last ? *number : *number << (8 * (3 - i));
    }
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) {
        out += std::to_string((address >> shift) & 255);
        if (shift > 0) out += '.';
    }
    return out;
}

using Pieces = std::array<std::uint16_t, 8>;

std::optional<Pieces> parse_ipv6(std::string_view text) {
    Pieces pieces{};
    std::size_t count = 0, gap = 9, at = 0;
    if (text.substr(0, 2) == "::") {
        at = 2;
        gap = 0;
    }
    while (at < text.size()) {
        if (count == 8) return std::nullopt;
        if (text[at] == ':') {  // the second of ::
            if (gap != 9 || at == 0) return std::nullopt;
            gap = count;
            ++at;
            continue;
        }
        std::uint32_t value = 0;
        std::size_t digits = 0;
        std::size_t start = at;
        while (at < text.size() && digits < 4 && hex_digit(text[at]) >= 0) {
            value = value * 16 + static_cast<std::uint32_t>(hex_digit(text[at]));
            ++at;
            ++digits;
        }
        if (at < text.size() && text[at] == '.') {  // an IPv4 address as the last 32 bits
            if (count > 6 || digits == 0) return std::nullopt;
            auto parts = split(text.substr(start), '.');
            if (parts.size() != 4) return std::nullopt;
            std::uint32_t address = 0;
            for (auto part : parts) {
                auto number = parse_uint(part, 255);
                if (!number || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
                address = address << 8 | static_cast<std::uint32_t>(*number);
            }
            pieces[count++] = static_cast<std::uint16_t>(address >> 16);
            pieces[count++] = static_cast<std::uint16_t>(address & 0xffff);
            at = text.size();
            break;
        }
        if (digits == 0) return std::nullopt;
        pieces[count++] = static_cast<std::uint16_t>(value);
        if (at == text.size()) break;
        if (text[at] != ':' || ++at == text.size()) return std::nullopt;
    }
    if (gap == 9) return count == 8 ? std::optional(pieces) : std::nullopt;
    if (count == 8) return std::nullopt;
    Pieces whole{};
    for (std::size_t i = 0; i < gap; ++i) whole[i] = pieces[i];
    for (std::size_t i = gap; i < count; ++i) whole[8 - count + i] = pieces[i];
    return whole;
}

// RFC 5952: the longest run of two or more zeros is left out.
std::string write_ipv6(const Pieces& pieces) {
    static constexpr char digits[] = "0123456789abcdef";
    std::size_t best = 8, best_size = 1;
    for (std::size_t i = 0; i < 8; ++i) {
        std::size_t size = 0;
        while (i + size < 8 && pieces[i + size] == 0) ++size;
        if (size > best_size) {
            best = i;
            best_size = size;
        }
        if (size > 0) i += size - 1;
    }
    std::string out = "[";
    for (std::size_t i = 0; i < 8; ++i) {
        if (i == best) {
            out += i == 0 ? "::" : ":";
            i += best_size - 1;
            continue;
        }
        bool leading = true;
        for (int shift = 12; shift >= 0; shift -= 4) {
            auto digit = (pieces[i] >> shift) & 15;
            if (digit == 0 && leading && shift > 0) continue;
            leading = false;
            out += digits[digit];
        }
        if (i < 7) out += ':';
    }
    return out + "]";
}

}  // namespace

std::string normal_host(std::string_view host) {
    if (host.empty()) throw UrlError("the URL has no host");
    if (host.front() == '[') {
        if (host.back() != ']') refuse(host, "has a bracket that does not close");
        auto pieces = parse_ipv6(host.substr(1, host.size() - 2));
        if (!pieces) refuse(host, "is no IPv6 address");
        return write_ipv6(*pieces);
    }
    auto decoded = percent_decode(host);
    if (!decoded) refuse(host, "has a broken percent-encoding");
    std::string out = lowered(*decoded);
    for (char c : out) {
        if (byte(c) >= 0x80) refuse(host, "is beyond ASCII: write it in its xn-- form");
        bool fits =
            byte(c) > 0x20 && byte(c) != 0x7f && std::string_view("#/:<>?@[\\]^|%").find(c) == std::string_view::npos;
        if (!fits) refuse(host, "has a character that no host has");
    }
    if (out.size() > 255) refuse(host, "is longer than 255 bytes");
    return ends_in_number(out) ? ipv4(out) : out;
}

}  // namespace coaio::http::detail
