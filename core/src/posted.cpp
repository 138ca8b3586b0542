// SPDX-License-Identifier: MIT
#include <coaio/core/detail/posted.hpp>

#include <coaio/core/detail/done_callback.hpp>
#include <coaio/core/detail/loop_core.hpp>

namespace coaio::detail {

void Posted::enter(LoopCore& core, std::shared_ptr<Posted> self) {
    core_ = &core;
    core.ready.push(Entry(static_cast<Runnable*>(this)));
    self_ = std::move(self);
}

void Posted::run() noexcept {
    const std::shared_ptr<Posted> keep = std::move(self_);
    arrive(*core_);
}

void Posted::discard() noexcept {
    const std::shared_ptr<Posted> last = std::move(self_);
    static_cast<void>(last);
}

void PostedCall::arrive(LoopCore& core) noexcept {
    if (taken_.exchange(true, std::memory_order_acq_rel)) return;
    try {
        invoke();
    } catch (...) {
        report_callback_failure(core, "Exception in a callback");
    }
    drop();
}

void PostedCall::cancel() noexcept {
    cancelled_.store(true, std::memory_order_release);
    if (!taken_.exchange(true, std::memory_order_acq_rel)) drop();
}

}  // namespace coaio::detail
