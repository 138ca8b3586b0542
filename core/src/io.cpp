// SPDX-License-Identifier: MIT
#include <coaio/core/io.hpp>

#include "loop_impl.hpp"
#include "peer.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/kept_watch.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/sockets.hpp>
#include <coaio/core/loop.hpp>

namespace coaio::io {

namespace {

coaio::detail::Poller& running_poller() { return *coaio::detail::require_core().loop->impl().poller; }

}  // namespace

Descriptor::Descriptor(int fd) : port_(running_poller().adopt(fd)) {}

std::error_code Descriptor::shutdown_write() const {
    const long result = port().shutdown_write();
    return {result < 0 ? static_cast<int>(-result) : 0, std::system_category()};
}

int Descriptor::release() noexcept {
    const int fd = port_ != nullptr ? port_->release() : -1;
    port_.reset();
    return fd;
}

void Descriptor::throw_closed() { throw ClosedError("this descriptor is closed"); }

namespace detail {

void ReadinessWait::enter() {
    running_poller().watch(*this);
    registered_ = true;
}

void ReadinessWait::withdraw() noexcept {
    registered_ = false;
    task_->core().loop->impl().poller->unwatch(*this);
}

void ReadinessWait::complete(Readiness found) noexcept {
    registered_ = false;
    found_ = found;
    task_->wake();
}

bool ReadinessWait::cancel(CancelMessage message) noexcept {
    if (!registered_) return false;
    withdraw();
    task_->wake_cancelled(message);
    return true;
}

WaitInfo ReadinessWait::describe() const {
    const char* const ways = wanted_.readable ? (wanted_.writable ? "readable or writable" : "readable") : "writable";
    WaitInfo info{.what = std::string(ways) + " descriptor"};
    coaio::detail::add_peer(info, fd_);
    return info;
}

}  // namespace detail

}  // namespace coaio::io

namespace coaio::detail {

KeptWatch::KeptWatch(int fd) : poller_(require_core().loop->impl().poller.get()), fd_(fd) { poller_->keep(*this); }

KeptWatch::~KeptWatch() {
    if (poller_ != nullptr) poller_->let_go(*this);
}

const std::shared_ptr<Sockets>& running_sockets() { return require_core().loop->impl().sockets; }

void set_sockets(std::shared_ptr<Sockets> sockets) { require_core().loop->impl().sockets = std::move(sockets); }

long open_kernel_socket(int family, int type, std::unique_ptr<Port>& socket) {
    return require_core().loop->impl().poller->open(family, type, socket);
}

long open_socket(int family, int type, std::unique_ptr<Port>& socket) {
    Sockets* const simulated = running_sockets().get();
    return simulated != nullptr ? simulated->open(family, type, socket) : open_kernel_socket(family, type, socket);
}

}  // namespace coaio::detail
