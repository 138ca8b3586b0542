// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/http/detail/callable.hpp>
#include <coaio/http/headers.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coaio::http {

/// Sends a body piece by piece: what the function given to `Response::stream` or `ClientRequest::stream` writes to.
///
/// The first piece takes the head with it; each piece is sent at once, as a chunk where the length was not given.
/// Back-pressure: `write` returns when the kernel has the bytes, so a slow peer slows the writer down.
///
/// Errors: `IoError` when the peer is gone; `TimeoutError` when it takes nothing for too long; `ValueError` for more
/// bytes than were announced. What the function itself throws cuts the body off, visibly for the peer.
/// Cancellation: cuts the body off, too.
///
///     co_return Response::stream("text/csv", [pool](BodyWriter& out) -> Coro<> { co_await out.write("id,name\n"); … });
class BodyWriter {
public:
    BodyWriter(const BodyWriter&) = delete;
    BodyWriter& operator=(const BodyWriter&) = delete;

    /// The bytes stay the caller's until it returns. An empty piece is left out.
    [[nodiscard]] virtual Coro<> write(std::string_view piece) = 0;
    /// The text is moved in.
    [[nodiscard]] Coro<> write(std::string&& piece);
    [[nodiscard]] Coro<> write(const char* piece) { return write(std::string_view(piece)); }
    /// Sends the head, although there is nothing to send yet, so that the peer knows it has been heard.
    [[nodiscard]] virtual Coro<> flush() = 0;
    /// Sent behind the last chunk; left out where the body is not chunked.
    [[nodiscard]] Headers& trailers() noexcept { return trailers_; }
    /// Bytes of the body so far.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

protected:
    BodyWriter() = default;
    ~BodyWriter() = default;

    Headers trailers_;
    std::uint64_t written_ = 0;
};

namespace detail {

using StreamBody = Callable<Coro<>(BodyWriter&)>;

/// Where the body of a message comes from, piece by piece.
class BodySource {
public:
    BodySource(const BodySource&) = delete;
    BodySource& operator=(const BodySource&) = delete;

    /// The next piece, good until the next call; empty at the end, and again after it.
    [[nodiscard]] virtual Coro<std::string_view> read_some() = 0;
    /// The length that was announced.
    [[nodiscard]] virtual std::optional<std::uint64_t> length() const noexcept = 0;
    virtual void set_limit(std::uint64_t bytes) noexcept = 0;
    [[nodiscard]] virtual const Headers& trailers() const noexcept = 0;

protected:
    BodySource() = default;
    ~BodySource() = default;
};

[[nodiscard]] Coro<std::string> read_whole(BodySource* source);

}  // namespace detail

}  // namespace coaio::http

template <>
inline constexpr bool coaio::enable_scope<coaio::http::BodyWriter> = true;
