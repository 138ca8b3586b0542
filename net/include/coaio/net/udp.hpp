// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/detail/future_state.hpp>
#include <coaio/net/address.hpp>
#include <coaio/net/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace coaio::net {

/// How a UDP socket is made.
struct UdpOptions {
    /// The address may be in use by others that say so, too: for multicast. (SO_REUSEADDR)
    bool reuse_address = false;
    /// Several sockets, one a loop, share the address, and the kernel spreads what comes over them. (SO_REUSEPORT)
    bool reuse_port = false;
    /// It may send to broadcast addresses.
    bool broadcast = false;
    /// An IPv6 socket takes IPv4, too.
    bool dual_stack = true;
    /// What the kernel keeps of what has not been received or sent yet, in bytes; beyond it drops. 0: its own choice.
    int receive_buffer = 0;
    int send_buffer = 0;
};

/// A datagram that was received into a buffer.
struct Datagram {
    /// How many bytes of the buffer are filled.
    std::size_t size = 0;
    /// It was longer than the buffer: the rest is lost.
    bool truncated = false;
    Address from;
};

/// A UDP socket: datagrams, each whole or not at all, in no certain order, perhaps lost or doubled on their way.
///
/// A connected one sends to its peer and receives from nobody else, and hears when the peer has no such port.
///
/// One task may receive and one may send at the same time; a second one in the same direction gets `BusyError`.
/// Errors: `IoError` with operation and address; ECONNREFUSED on a connected socket says that an earlier datagram found
/// nobody, and the socket is as good as before. `ClosedError` after `close`, also in whoever waits.
/// Cancellation: of a receive loses no datagram; of a send has sent nothing.
/// Lifetime: belongs to its loop and outlives its operations; buffers live until the operation on them is done.
///
///     auto socket = net::UdpSocket::bind(net::Address::ip("0.0.0.0", 5353));
///     auto datagram = co_await socket.receive_from(room);
///     co_await socket.send_to("answer", datagram.from);
class UdpSocket {
public:
    UdpSocket() noexcept;
    UdpSocket(UdpSocket&&) noexcept;
    UdpSocket& operator=(UdpSocket&&) noexcept;
    ~UdpSocket();

    /// Receives what is sent to this address; port 0: to a free one. Throws `IoError`.
    [[nodiscard]] static UdpSocket bind(const Address& address, UdpOptions options = {});
    /// An empty host: every address of the machine.
    [[nodiscard]] static Coro<UdpSocket> bind(std::string host, std::uint16_t port, UdpOptions options = {});
    /// Connected with a peer. Nothing is sent by this. Throws `IoError`.
    [[nodiscard]] static UdpSocket connect(const Address& peer, UdpOptions options = {});
    /// With the first address of the host that there is a route to.
    [[nodiscard]] static Coro<UdpSocket> connect(std::string host, std::uint16_t port, UdpOptions options = {});

    /// Waits for a datagram; what does not fit into `into` is lost, and told.
    [[nodiscard]] Coro<Datagram> receive_from(std::span<std::byte> into);
    [[nodiscard]] Coro<Datagram> receive_from(std::span<char> into) {
        return receive_from(std::as_writable_bytes(into));
    }
    /// Waits for a datagram and gives all of it, whoever sent it. Throws `LimitOverrunError` when it was longer than
    /// `limit`; it is lost then.
    [[nodiscard]] Coro<std::string> receive(std::size_t limit = largest);

    /// Sends one datagram. Waits only while the kernel has no room.
    [[nodiscard]] Coro<> send_to(std::string_view bytes, const Address& to) { return send_bytes(buffer(bytes), to); }
    [[nodiscard]] Coro<> send_to(const char* bytes, const Address& to) { return send_to(std::string_view(bytes), to); }
    [[nodiscard]] Coro<> send_to(std::span<const std::byte> bytes, const Address& to) {
        return send_bytes(buffer(bytes), to);
    }
    /// The text is moved in: it need not live anywhere else.
    [[nodiscard]] Coro<> send_to(std::string&& bytes, const Address& to) { return send_text(std::move(bytes), to); }
    /// To the peer that it is connected with.
    [[nodiscard]] Coro<> send(std::string_view bytes) { return send_bytes(buffer(bytes), {}); }
    [[nodiscard]] Coro<> send(const char* bytes) { return send(std::string_view(bytes)); }
    [[nodiscard]] Coro<> send(std::span<const std::byte> bytes) { return send_bytes(buffer(bytes), {}); }
    [[nodiscard]] Coro<> send(std::string&& bytes) { return send_text(std::move(bytes), {}); }

    /// Receives what is sent to this multicast group, too, or no more. `interface`: as `eth0`; empty: the system's
    /// choice. Throws `IoError`; `ValueError` when there is no such interface.
    void join(const Address& group, std::string_view interface = {});
    void leave(const Address& group, std::string_view interface = {});

    /// Closes it at once; who still waits gets `ClosedError`. Again: no effect.
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(impl_); }
    [[nodiscard]] explicit operator bool() const noexcept { return is_open(); }
    /// Empty when closed.
    [[nodiscard]] Address local_address() const;
    /// Empty when it is not connected.
    [[nodiscard]] Address peer_address() const;
    /// The kernel's number; -1 when closed or simulated.
    [[nodiscard]] int descriptor() const noexcept;

    /// The most bytes that a datagram can have.
    static constexpr std::size_t largest = 65'535;

private:
    struct Impl;
    explicit UdpSocket(coaio::detail::Ref<Impl> impl) noexcept;
    [[nodiscard]] const coaio::detail::Ref<Impl>& open() const;
    [[nodiscard]] Coro<> send_bytes(Buffer bytes, const Address& to);
    [[nodiscard]] Coro<> send_text(std::string bytes, const Address& to);
    void change_group(const Address& group, std::string_view interface, bool join);

    coaio::detail::Ref<Impl> impl_;
};

}  // namespace coaio::net
