// SPDX-License-Identifier: MIT
#pragma once

namespace coaio::detail {

class Poller;

/// For libraries that own their socket and wait for it over and over: while this lives, `io::wait_ready` leaves the
/// descriptor registered, still by level, so that one wait after another of the same kind costs no system call. What
/// comes while nobody waits takes the registration back until the next wait. It must go before the descriptor is closed,
/// or be told.
///
/// Lifetime: belongs to the loop that ran when it was made, and may outlive it.
class KeptWatch {
public:
    /// Throws `IoError` when the kernel cannot watch the descriptor, `BusyError` when it is watched already.
    explicit KeptWatch(int fd);
    KeptWatch(const KeptWatch&) = delete;
    KeptWatch& operator=(const KeptWatch&) = delete;
    ~KeptWatch();

    /// The descriptor is closed: its number may be somebody else's by now, and the kernel is asked for nothing about it.
    void forget() noexcept { fd_closed_ = true; }

    /// For the poller.
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool fd_closed() const noexcept { return fd_closed_; }
    void orphan() noexcept { poller_ = nullptr; }

private:
    Poller* poller_;  // null: it is gone
    int fd_;
    bool fd_closed_ = false;
};

}  // namespace coaio::detail
