// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/future_state.hpp>
#include <coaio/core/io.hpp>
#include <coaio/net/address.hpp>
#include <coaio/net/error.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace coaio::net {

/// Bytes to write; they stay the caller's.
using Buffer = io::Buffer;

[[nodiscard]] inline Buffer buffer(std::string_view text) noexcept { return {text.data(), text.size()}; }
[[nodiscard]] inline Buffer buffer(std::span<const std::byte> bytes) noexcept { return {bytes.data(), bytes.size()}; }

/// What is known of an encrypted stream after its handshake.
struct TlsInfo {
    TlsInfo() = default;
    std::string version;      // TLSv1.3
    std::string cipher;       // TLS_AES_256_GCM_SHA384
    std::string protocol;     // what ALPN chose; empty: none
    std::string server_name;  // what the client asked for
    std::string peer;         // the subject of the peer's certificate; empty: none
};

/// A connection of bytes both ways: TCP, Unix socket, TLS over any of these, or memory.
///
/// One task may read and one may write at the same time; a second one in the same direction gets `BusyError`.
///
/// Back-pressure: `write` returns when the kernel, or the memory's other end, has taken all bytes.
/// Cancellation: a read that is cancelled loses nothing: what had come stays in the stream. A write that is cancelled
/// before its first byte has done nothing; one that is cut in the middle breaks the stream: later writes throw
/// `BrokenStreamError`, and `close` resets the connection, so that the peer does not take a torso for the whole.
/// Errors: `IoError` with operation and address; `TlsError`; `ClosedError` after `close`, also in whoever waits.
/// Lifetime: belongs to its loop and outlives its operations; buffers live until the operation on them is done. Its
/// destructor closes it.
///
///     auto stream = co_await net::connect("example.com", 80);
///     co_await stream.write("GET / HTTP/1.0\r\n\r\n");
///     auto status = co_await stream.read_until("\r\n", 1000);
class Stream {
public:
    Stream() noexcept;
    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;
    ~Stream();

    /// Reads at least one byte, and as many as are there, into `into`, which is not empty. 0: the peer has ended.
    [[nodiscard]] Coro<std::size_t> read_some(std::span<std::byte> into);
    [[nodiscard]] Coro<std::size_t> read_some(std::span<char> into) { return read_some(std::as_writable_bytes(into)); }
    /// Fills `into`. Throws `IncompleteReadError` with what came when the peer ends before.
    [[nodiscard]] Coro<> read_exactly(std::span<std::byte> into);
    [[nodiscard]] Coro<std::string> read_exactly(std::size_t count);
    /// Reads up to and with `separator`, which is copied. Throws `IncompleteReadError` when the peer ends before it, and
    /// `LimitOverrunError` when it does not end within `limit` bytes; they stay in the stream then.
    [[nodiscard]] Coro<std::string> read_until(std::string_view separator, std::size_t limit = 64 * 1024);
    /// Reads all until the peer ends. Throws `LimitOverrunError` beyond `limit`.
    [[nodiscard]] Coro<std::string> read_to_end(std::size_t limit);
    /// Gives bytes back, to be read next: for parsers that read too far.
    void unread(std::span<const std::byte> bytes);

    /// Writes all of it, in one system call where the kernel takes it.
    [[nodiscard]] Coro<> write(std::string_view text) { return write_array<1>({buffer(text)}); }
    [[nodiscard]] Coro<> write(const char* text) { return write(std::string_view(text)); }
    [[nodiscard]] Coro<> write(std::span<const std::byte> bytes) { return write_array<1>({buffer(bytes)}); }
    /// The text is moved in: it need not live anywhere else.
    [[nodiscard]] Coro<> write(std::string&& text);
    /// Several pieces, gathered.
    template <std::convertible_to<std::string_view>... Text>
        requires(sizeof...(Text) > 1)
    [[nodiscard]] Coro<> write(const Text&... text) {
        return write_array<sizeof...(Text)>({buffer(std::string_view(text))...});
    }
    /// Several buffers, gathered. The array too must live until it is done.
    [[nodiscard]] Coro<> write(std::span<const Buffer> buffers);
    /// Writes as much as can be written without waiting, and says how much that was. 0 too while a task writes, with TLS,
    /// and on an error: `write` then fails by that or by what follows from it. The rest of what was taken in part is to be
    /// written next; a stream that is closed, or that is to send its end, before that was cut in the middle.
    std::size_t try_write(std::string_view text) noexcept;

    /// Says that nothing more will be written; the peer reads the end, and may still write. With TLS that is its
    /// goodbye.
    [[nodiscard]] Coro<> shutdown_write();
    /// Closes it at once, both ways; who still waits gets `ClosedError`. Again: no effect. What was written is still
    /// delivered, unless the stream is broken. With TLS the goodbye is sent if the kernel takes it.
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(impl_); }
    [[nodiscard]] explicit operator bool() const noexcept { return is_open(); }
    /// A write was cut in the middle.
    [[nodiscard]] bool is_broken() const noexcept;
    /// Whether there are bytes that can be read without waiting for the peer, as far as this stream knows.
    [[nodiscard]] std::size_t buffered() const noexcept;

    /// Empty when closed, or where there is none.
    [[nodiscard]] Address local_address() const;
    [[nodiscard]] Address peer_address() const;
    /// Null without TLS.
    [[nodiscard]] const TlsInfo* tls() const noexcept;
    /// The kernel's number of the socket below; -1 when there is none.
    [[nodiscard]] int descriptor() const noexcept;

    /// For the library: over a descriptor. `peer` is for messages; asked of the kernel when empty.
    explicit Stream(io::Descriptor descriptor, Address peer = {});
    struct Impl;
    explicit Stream(coaio::detail::Ref<Impl> impl) noexcept;
    [[nodiscard]] const coaio::detail::Ref<Impl>& impl() const noexcept { return impl_; }

private:
    static constexpr std::size_t few = 4;

    template <std::size_t N>
    [[nodiscard]] Coro<> write_array(const std::array<Buffer, N>& buffers) {
        if constexpr (N <= few) {
            std::array<Buffer, few> padded{};
            for (std::size_t i = 0; i < N; ++i) padded[i] = buffers[i];
            return write_few(padded, N);
        } else {
            return write_many(*this, buffers);
        }
    }
    [[nodiscard]] Coro<> write_few(std::array<Buffer, few> buffers, std::size_t count);
    template <std::size_t N>
    static Coro<> write_many(Stream& stream, std::array<Buffer, N> buffers) {
        co_await stream.write(std::span<const Buffer>(buffers));
    }
    [[nodiscard]] const coaio::detail::Ref<Impl>& open() const;

    coaio::detail::Ref<Impl> impl_;
};

/// Two streams of which each reads what the other writes, through memory: no kernel, so time may be virtual.
/// `capacity`: bytes on their way in each direction before `write` waits.
[[nodiscard]] std::pair<Stream, Stream> memory_pipe(std::size_t capacity = 64 * 1024);

}  // namespace coaio::net

/// Handlers get a stream as their scope.
template <>
inline constexpr bool coaio::enable_scope<coaio::net::Stream> = true;
