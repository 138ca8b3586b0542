// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <utility>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace coaio::db::pq {

#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
// Until something is read, which sends what there is. The rest of what has begun to go is not kept.
void Session::hold_back() noexcept { held_ = held_ || !clogged_; }
void Session::let_go() noexcept { held_ = false; }
bool Session::keeps_back() const noexcept { return held_; }
#else
// This libpq sends at each Sync, so TCP keeps it.
void Session::hold_back() noexcept {
    const int on = 1;
    if (can_hold_ && !held_) held_ = can_hold_ = ::setsockopt(socket(), IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0;
}

void Session::let_go() noexcept {
    const int off = 0;
    if (std::exchange(held_, false)) ::setsockopt(socket(), IPPROTO_TCP, TCP_CORK, &off, sizeof off);
}

bool Session::keeps_back() const noexcept { return false; }
#endif

bool Session::counts_bytes() const noexcept {
    int family = AF_UNIX;
    socklen_t size = sizeof family;
    static_cast<void>(::getsockopt(socket(), SOL_SOCKET, SO_DOMAIN, &family, &size));
    return family != AF_UNIX && !encrypted() && PQgssEncInUse(connection_.get()) == 0;
}

void Session::wake_at(std::size_t bytes) noexcept {
    const bool near_enough = bytes > 1 && bytes >= wakes_at_ && bytes <= wakes_at_ * 2;
    if (bytes == wakes_at_ || near_enough) return;
    const int least = static_cast<int>(bytes);
    if (::setsockopt(socket(), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least) == 0) wakes_at_ = bytes;
}

std::size_t Session::at_hand() const noexcept {
    int bytes = 0;
    return ::ioctl(socket(), FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool Session::near() const noexcept {
    constexpr std::chrono::microseconds most(500);
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;  // not by way of a network
    return std::chrono::microseconds(info.tcpi_min_rtt) <= most;  // to the first hop: a proxy may stand between
}

}  // namespace coaio::db::pq
