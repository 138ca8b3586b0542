// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/kept_watch.hpp>
#include <coaio/core/detail/port.hpp>
#include <coaio/core/io.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace coaio::detail {

/// An I/O back end: descriptors and the kernel, or a simulation of them. It knows nothing of tasks: what it completes
/// goes to the ready queue.
class Poller {
public:
    Poller() = default;
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;
    virtual ~Poller() = default;

    /// Waits for at most `timeout` nanoseconds (negative: until something happens; 0: only looks) and makes ready
    /// whoever can go on.
    virtual void poll(std::int64_t timeout) = 0;
    /// From any thread, and from a signal handler: a `poll` that waits, or the next one, returns.
    virtual void wake() noexcept = 0;
    /// How many waits only the outside world can end.
    [[nodiscard]] virtual std::size_t outstanding() const noexcept = 0;

    /// A new socket, not watched yet; 0 or -errno.
    [[nodiscard]] virtual long open(int family, int type, std::unique_ptr<Port>& socket) = 0;
    /// Takes over a descriptor for its life. Throws `IoError`, the descriptor then closed.
    [[nodiscard]] virtual std::unique_ptr<Port> adopt(int fd) = 0;
    /// Watches a foreign descriptor until it is ready once. Throws `IoError` or `BusyError`.
    virtual void watch(io::detail::ReadinessWait& wait) = 0;
    virtual void unwatch(io::detail::ReadinessWait& wait) noexcept = 0;
    /// Waits for its descriptor leave it registered. Throws `IoError` or `BusyError`.
    virtual void keep(KeptWatch& kept) = 0;
    virtual void let_go(KeptWatch& kept) noexcept = 0;
    /// The descriptor that `wake` writes an 8-byte one to, for signal handlers.
    [[nodiscard]] virtual int wake_descriptor() const noexcept = 0;
};

}  // namespace coaio::detail
