// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tests {

/// A stream socket at 127.0.0.1 that does not listen yet. 0: at any port that is free.
inline int bound_socket(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    }
    return fd;
}

/// A port of 127.0.0.1 that nobody else is given as long as this lives; who listens there sets SO_REUSEADDR.
class KeptPort {
public:
    KeptPort() {
        sockaddr_in address{};
        socklen_t size = sizeof(address);
        if (::getsockname(keeper_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            throw std::runtime_error(std::string("getsockname: ") + std::strerror(errno));
        }
        number_ = ntohs(address.sin_port);
    }
    KeptPort(const KeptPort&) = delete;
    KeptPort& operator=(const KeptPort&) = delete;
    ~KeptPort() { ::close(keeper_); }

    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int keeper_ = bound_socket(0);
    int number_ = 0;
};

}  // namespace tests
