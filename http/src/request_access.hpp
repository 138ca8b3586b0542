// SPDX-License-Identifier: MIT
#pragma once

#include "decode.hpp"

#include <coaio/http/request.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coaio::http::detail {

/// The connection's and the router's door into a request.
struct RequestAccess {
    /// Takes over the views of a decoded head, which has to stay where it is. What the last request left is forgotten,
    /// its memory kept.
    static void assign(Request& request, const MessageHead& head);
    static void set_connection(Request& request, BodySource* source, const net::Address* peer, bool secure) noexcept {
        request.source_ = source;
        request.peer_ = peer;
        request.secure_ = secure;
    }
    static void set_id(Request& request, std::string_view id) { request.id_.assign(id); }
    static void set_match(Request& request, std::string_view pattern, std::size_t route,
                          std::uint8_t outcome) noexcept {
        request.route_ = pattern;
        request.route_index_ = route;
        request.route_outcome_ = outcome;
    }
    [[nodiscard]] static std::size_t route_index(const Request& request) noexcept { return request.route_index_; }
    [[nodiscard]] static std::uint8_t outcome(const Request& request) noexcept { return request.route_outcome_; }
    [[nodiscard]] static PathParams& params(Request& request) noexcept { return request.params_; }
};

}  // namespace coaio::http::detail
