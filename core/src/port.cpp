// SPDX-License-Identifier: MIT
#include <coaio/core/detail/port.hpp>

#include "peer.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/error.hpp>

#include <utility>

namespace coaio::detail {

void PortSide::enqueue() noexcept {
    position_ = port_->core().ready.push(Entry(static_cast<Runnable*>(this)));
    queued_ = true;
}

void PortSide::link(IoWait& wait) noexcept {
    waiter_ = &wait;
    if (port_->waits_ != nullptr) ++*port_->waits_;
    if (ready_) enqueue();  // the step's budget is spent: it may try on the next turn
}

void PortSide::unlink() noexcept {
    waiter_ = nullptr;
    if (port_->waits_ != nullptr) --*port_->waits_;
    if (queued_) port_->core().ready.erase(position_);
    queued_ = false;
}

void PortSide::run() noexcept {
    queued_ = false;
    IoWait& wait = *waiter_;
    if (!wait.try_once()) return;
    unlink();
    // Resumed here and now, so that a cancellation cannot come between. The port may be gone afterwards.
    TaskBase* const task = wait.task();
    task->unhang();
    task->step();
}

TaskBase* PortSide::stepped() const noexcept { return waiter_->task(); }

void PortSide::close() noexcept {
    if (waiter_ == nullptr) return;
    IoWait& wait = *waiter_;
    unlink();
    wait.side_ = nullptr;
    wait.task()->wake();
}

Port::~Port() { close_sides(); }

long Port::read(std::span<std::byte>) noexcept { return -EOPNOTSUPP; }
long Port::write(std::span<const ConstBuffer>) noexcept { return -EOPNOTSUPP; }
long Port::accept(std::unique_ptr<Port>&) noexcept { return -EOPNOTSUPP; }
long Port::finish_connect() noexcept { return -EOPNOTSUPP; }
long Port::shutdown_write() noexcept { return -EOPNOTSUPP; }
long Port::send_to(std::span<const ConstBuffer>, std::span<const std::byte>) noexcept { return -EOPNOTSUPP; }
long Port::receive_from(std::span<std::byte>, std::span<std::byte>&) noexcept { return -EOPNOTSUPP; }
long Port::bind(std::span<const std::byte>) noexcept { return -EOPNOTSUPP; }
long Port::listen(int) noexcept { return -EOPNOTSUPP; }
long Port::connect(std::span<const std::byte>) noexcept { return -EOPNOTSUPP; }
long Port::set_option(int, int, std::span<const std::byte>) noexcept { return -EOPNOTSUPP; }
long Port::name_of(End, std::span<std::byte>) const noexcept { return -ENOTSOCK; }

bool IoWait::cancel(CancelMessage message) noexcept {
    if (side_ == nullptr || side_->waiter_ != this) return false;
    // The port may be closed before the task goes on.
    std::exchange(side_, nullptr)->unlink();
    task_->wake_cancelled(message);
    return true;
}

const char* IoWait::verb() const noexcept { return side_ == &side_->port_->in ? "input from" : "output to"; }

WaitInfo IoWait::describe() const {
    if (side_ == nullptr) return {.what = "a descriptor that was closed"};
    WaitInfo info{.what = std::string(verb()) + " " + port().describe()};
    add_peer(info, port());
    return info;
}

void IoWait::throw_busy() const {
    throw BusyError(std::string(side_ == &port().in ? "another task is already reading from "
                                                    : "another task is already writing to ") +
                    port().describe());
}

void IoWait::throw_interrupted() const {
    throw_if_cancelled();
    throw ClosedError("the descriptor was closed while this operation waited for it");
}

}  // namespace coaio::detail
