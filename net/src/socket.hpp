// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/io.hpp>
#include <coaio/net/address.hpp>

#include <string_view>

namespace coaio::net {

/// Throws the `IoError` of a result that is -errno.
[[noreturn]] void throw_socket_error(long result, std::string_view operation, const Address& address);

/// Sends small writes at once. Not for Unix sockets; a failure is of no consequence.
void set_no_delay(int fd) noexcept;

/// A new stream socket of the address's family; closed by its destructor until it is given away.
class Socket {
public:
    explicit Socket(const Address& address);
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket();

    [[nodiscard]] int number() const noexcept { return fd_; }
    /// To the loop, which watches it from now on.
    [[nodiscard]] io::Descriptor give();

private:
    int fd_;
};

}  // namespace coaio::net
