// SPDX-License-Identifier: MIT
#include <coaio/http/media_type.hpp>

#include "text.hpp"

#include <algorithm>

namespace coaio::http {

using namespace detail;

namespace {

constexpr std::size_t most_parameters = 32;

// Reads a quoted string that starts at text[at]; `at` ends behind it.
std::string quoted(std::string_view text, std::size_t& at) {
    std::string out;
    for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        out += text[at];
    }
    if (at < text.size()) ++at;
    return out;
}

}  // namespace

std::optional<MediaType> MediaType::parse(std::string_view text) {
    auto end = std::min(text.find(';'), text.size());
    auto essence = trim(text.substr(0, end));
    auto slash = essence.find('/');
    if (slash == essence.npos || !is_token(essence.substr(0, slash)) || !is_token(essence.substr(slash + 1))) {
        return std::nullopt;
    }
    MediaType media;
    media.type_ = lowered(essence.substr(0, slash));
    media.subtype_ = lowered(essence.substr(slash + 1));

    std::size_t at = end;
    while (at < text.size() && media.parameters_.size() < most_parameters) {
        ++at;  // the semicolon
        std::size_t start = at;
        while (at < text.size() && text[at] != ';' && text[at] != '=') ++at;
        auto name = trim(text.substr(start, at - start));
        if (at == text.size() || text[at] == ';') continue;
        ++at;
        while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
        std::string value;
        if (at < text.size() && text[at] == '"') {
            value = quoted(text, at);
            while (at < text.size() && text[at] != ';') ++at;
        } else {
            start = at;
            while (at < text.size() && text[at] != ';') ++at;
            value = trim(text.substr(start, at - start));
        }
        if (is_token(name) && !value.empty() && !media.parameter(name)) {
            media.parameters_.emplace_back(lowered(name), std::move(value));
        }
    }
    return media;
}

bool MediaType::is(std::string_view essence) const noexcept {
    return essence.size() == type_.size() + 1 + subtype_.size() && iequals(essence.substr(0, type_.size()), type_) &&
           essence[type_.size()] == '/' && iequals(essence.substr(type_.size() + 1), subtype_);
}

std::optional<std::string_view> MediaType::parameter(std::string_view name) const noexcept {
    for (const auto& [known, value] : parameters_) {
        if (iequals(known, name)) return value;
    }
    return std::nullopt;
}

std::optional<std::string> MediaType::charset() const {
    auto value = parameter("charset");
    return value ? std::optional(lowered(*value)) : std::nullopt;
}

namespace {

// A quality in thousandths; what is broken counts as 1, as if it were not there.
int quality(std::string_view parameters) {
    while (!parameters.empty()) {
        auto end = std::min(parameters.find(';'), parameters.size());
        auto one = trim(parameters.substr(0, end));
        parameters.remove_prefix(std::min(end + 1, parameters.size()));
        if (one.size() < 3 || lower(one[0]) != 'q' || one[1] != '=') continue;
        auto number = trim(one.substr(2));
        if (number.empty() || (number[0] != '0' && number[0] != '1')) return 1000;
        if (number.size() > 1 && number[1] != '.') return 1000;
        int value = (number[0] - '0') * 1000;
        int scale = 100;
        for (char c : number.substr(std::min<std::size_t>(2, number.size()))) {
            if (!is_digit(c)) return 1000;
            value += (c - '0') * scale;
            scale /= 10;
        }
        return std::min(value, 1000);
    }
    return 1000;
}

}  // namespace

std::optional<std::string_view> negotiate(std::string_view header, const std::vector<std::string_view>& offers) {
    std::optional<std::string_view> best;
    int best_quality = 0;
    for (auto offer : offers) {
        int named = -1, any = -1;
        for_each_in_list(header, [&](std::string_view item) {
            auto end = std::min(item.find(';'), item.size());
            auto name = trim(item.substr(0, end));
            int value = quality(item.substr(end));
            if (iequals(name, offer) && named < 0) named = value;
            if (name == "*" && any < 0) any = value;
            return true;
        });
        int value = named >= 0 ? named : any >= 0 ? any : 0;
        // What needs no coding is always good, unless it is excluded (RFC 9110 section 12.5.3).
        if (named < 0 && any < 0 && iequals(offer, "identity")) value = 1;
        if (value > best_quality) {
            best = offer;
            best_quality = value;
        }
    }
    return best;
}

}  // namespace coaio::http
