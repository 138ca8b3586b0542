// SPDX-License-Identifier: MIT
#pragma once

namespace coaio::detail {

class Poller;

/// For libraries that own their socket and wait for it over and over: while this lives, `io::wait_ready` leaves the
/// descriptor registered, still by level, so that one wait after another of the same kind costs no system call. What
/// comes while nobody waits takes the registration back until the next wait. It must go before the descriptor is closed.
///
/// Lifetime: belongs to the loop that ran when it was made, and may outlive it.
class KeptWatch {
public:
    /// Throws `IoError` when the kernel cannot watch the descriptor, `BusyError` when it is watched already.
    explicit KeptWatch(int fd);
    KeptWatch(const KeptWatch&) = delete;
    KeptWatch& operator=(const KeptWatch&) = delete;
    ~KeptWatch();

    /// For the poller.
    [[nodiscard]] int fd() const noexcept { return fd_; }
    void orphan() noexcept { poller_ = nullptr; }

private:
    Poller* poller_;  // null: it is gone
    int fd_;
};

}  // namespace coaio::detail
