// SPDX-License-Identifier: MIT
#include <coaio/core/detail/wait_list.hpp>

#include <coaio/core/error.hpp>

#include <string>

namespace coaio::detail {

bool Waiter::cancel(CancelMessage message) noexcept {
    if (state_ != WaitState::waiting) return false;
    if (linked()) unlink();
    state_ = WaitState::cancelled;
    task_->wake_cancelled(message);
    return true;
}

std::size_t WaitList::count(std::size_t limit) const noexcept {
    std::size_t found = 0;
    for (const WaitLink* each = ends_.next; each != &ends_ && found < limit; each = each->next) ++found;
    return found;
}

void WaitList::orphan() noexcept {
    while (!empty()) {
        Waiter& waiter = pop_front();
        const WaitState was = waiter.state();
        if (was == WaitState::cancelled) continue;
        waiter.set_state(WaitState::orphaned);
        if (was == WaitState::waiting) waiter.task()->wake();
    }
}

void LoopBinding::require(const char* what) {
    const std::uint64_t running = thread_state.core->id;
    if (loop_ == 0) loop_ = running;
    if (loop_ != running) {
        throw RuntimeError("this " + std::string(what) +
                           " is bound to a different event loop: tasks waited for it there");
    }
}

void throw_orphaned(const char* what) {
    throw RuntimeError("the " + std::string(what) +
                       " was destroyed while a task waited for it: it has to outlive them");
}

}  // namespace coaio::detail
