// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/frame_pool.hpp>
#include <coaio/core/detail/future_state.hpp>
#include <coaio/core/io.hpp>
#include <coaio/net/address.hpp>
#include <coaio/net/stream.hpp>

#include "input_buffer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace coaio::net {

class TlsLayer;

/// What is behind a stream. Counted: operations keep it while they run, so closing the stream cannot pull it away.
struct Stream::Impl : coaio::detail::Pooled {
    using Ref = coaio::detail::Ref<Impl>;

    Impl(io::Descriptor below, Address peer_address) noexcept;
    explicit Impl(std::unique_ptr<TlsLayer> layer) noexcept;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl();

    void add_ref() noexcept { ++refs; }
    void release() noexcept {
        if (--refs == 0) delete this;
    }
    void close() noexcept;

    static Coro<std::size_t> read_some(Ref impl, std::span<std::byte> into);
    static Coro<> read_exactly(Ref impl, std::span<std::byte> into);
    static Coro<std::string> read_count(Ref impl, std::size_t count);
    static Coro<std::string> read_until(Ref impl, std::string separator, std::size_t limit);
    static Coro<std::string> read_to_end(Ref impl, std::size_t limit);
    static Coro<> write(Ref impl, std::span<const Buffer> buffers);
    static Coro<> write_few(Ref impl, std::array<Buffer, few> buffers, std::size_t count);
    static Coro<> write_text(Ref impl, std::string text);
    static Coro<> shutdown_write(Ref impl);

    /// Reads straight from below, past the input buffer; without the guard against a second reader.
    static Coro<std::size_t> receive(Impl& impl, std::span<std::byte> into);
    /// Writes some bytes, for TLS: a cut is its affair.
    static Coro<std::size_t> send_some(Ref impl, Buffer bytes);
    /// Whether something may be sent past the tasks: nobody writes, and there is no layer of TLS.
    [[nodiscard]] bool may_send() const noexcept;
    /// Writes what can be written at once; -errno otherwise.
    long try_send(Buffer bytes) noexcept;
    /// The same for whoever writes the rest next; 0 otherwise.
    std::size_t try_write(Buffer bytes) noexcept;

    /// For messages: `127.0.0.1:80`.
    [[nodiscard]] std::string subject() const;
    [[noreturn]] void throw_error(int error, const char* operation, std::size_t done) const;
    void require_writable() const;

    io::Descriptor descriptor;
    std::unique_ptr<TlsLayer> tls;  // instead of the descriptor
    Address peer;
    InputBuffer input;
    std::uint32_t refs = 0;
    bool reading = false;
    bool writing = false;
    bool broken = false;
    bool begun = false;  // try_write took a part of something
    bool shut = false;
    bool closed = false;

private:
    class Direction;
    class Cut;
    class PutBack;
    static Coro<std::size_t> fill(Impl& impl, std::size_t at_most);
    static Coro<> write_parts(Impl& impl, std::span<const Buffer> buffers);
};

}  // namespace coaio::net
