// SPDX-License-Identifier: MIT
#include <coaio/http/body.hpp>

#include "body_source.hpp"

#include <algorithm>
#include <utility>

namespace coaio::http {

namespace {

Coro<> write_owned(BodyWriter& writer, std::string piece) { co_await writer.write(std::string_view(piece)); }

}  // namespace

Coro<> BodyWriter::write(std::string&& piece) { return write_owned(*this, std::move(piece)); }

namespace detail {

// Memory for what was announced is not handed out before it has come.
constexpr std::uint64_t trusted_length = 64 * 1024;

Coro<std::string> read_whole(BodySource* source) {
    std::string whole;
    whole.reserve(static_cast<std::size_t>(std::min(source->length().value_or(0), trusted_length)));
    for (;;) {
        const std::string_view piece = co_await source->read_some();
        if (piece.empty()) break;
        whole.append(piece);
    }
    co_return whole;
}

Coro<std::string_view> NoBody::read_some() { co_return std::string_view(); }

NoBody& NoBody::instance() noexcept {
    static NoBody none;
    return none;
}

}  // namespace detail

}  // namespace coaio::http
