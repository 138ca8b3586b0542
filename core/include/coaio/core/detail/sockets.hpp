// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/resolve.hpp>

#include <memory>
#include <string>
#include <vector>

namespace coaio::detail {

class Port;

/// Where a loop's sockets and the answers to its name look-ups come from, when that is not the system: a simulation.
class Sockets {
public:
    Sockets() = default;
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;
    virtual ~Sockets() = default;

    /// A socket as `socket(2)` makes it, to be set up and then watched; 0 or -errno.
    [[nodiscard]] virtual long open(int family, int type, std::unique_ptr<Port>& socket) = 0;
    /// As `Loop::getaddrinfo`; the host is no numeric address.
    [[nodiscard]] virtual Coro<std::vector<ResolvedAddress>> look_up(std::string host, std::string service,
                                                                     ResolveOptions options) = 0;
    /// The loop is closed: nothing may be scheduled on it any more.
    virtual void loop_closed() noexcept = 0;
};

/// A socket for the running loop: from its simulation, if it has one, else from the kernel.
[[nodiscard]] long open_socket(int family, int type, std::unique_ptr<Port>& socket);
[[nodiscard]] long open_kernel_socket(int family, int type, std::unique_ptr<Port>& socket);

/// The running loop's; null: the kernel's.
[[nodiscard]] const std::shared_ptr<Sockets>& running_sockets();
/// For the rest of the running loop's life.
void set_sockets(std::shared_ptr<Sockets> sockets);

}  // namespace coaio::detail
