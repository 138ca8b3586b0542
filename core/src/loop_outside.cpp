// SPDX-License-Identifier: MIT
// What a loop offers beyond its turns: the default executor and signal handlers.
#include "loop_impl.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace coaio {

ThreadPoolExecutor& Loop::default_executor() {
    if (impl_->executor_shut_down) throw RuntimeError("the default executor was shut down");
    if (impl_->executor == nullptr) impl_->executor = std::make_shared<ThreadPoolExecutor>();
    return *impl_->executor;
}

void Loop::set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor) {
    check_usable();
    impl_->executor = std::move(executor);
}

Coro<> Loop::shutdown_default_executor(std::optional<Duration> timeout) {
    impl_->executor_shut_down = true;
    const auto executor = std::exchange(impl_->executor, nullptr);
    if (executor == nullptr) co_return;

    // The last thread says so through the mailbox, which may outlive the loop; the loop forgets the future first.
    const Future<bool> ended;
    struct Notice final : detail::PostedCall {
        explicit Notice(Future<bool> future) : ended(std::move(future)) {}
        void invoke() override {
            if (ended && !ended->done()) ended->set_result(true);
        }
        void drop() noexcept override { ended.reset(); }
        std::optional<Future<bool>> ended;  // of the loop's thread
    };
    const auto notice = std::make_shared<Notice>(ended);
    struct Forget {
        std::shared_ptr<Notice> notice;
        std::atomic<std::size_t>& outside;
        ~Forget() {
            notice->cancel();
            --outside;
        }
    };
    ++impl_->outside_work;
    const Forget forget{notice, impl_->outside_work};
    executor->shutdown([notice, mailbox = impl_->mailbox] { static_cast<void>(mailbox->post(notice)); });

    std::optional<TimerHandle> limit;
    if (timeout) {
        limit = call_later(*timeout, [ended] {
            if (!ended.done()) ended.set_result(false);
        });
    }
    const bool in_time = co_await ended;
    if (limit) limit->cancel();
    if (!in_time) {
        ExceptionContext context;
        context.message = "the default executor's threads did not end in time: they run on, nobody waits for them";
        call_exception_handler(context);
    }
}

void Loop::add_signal_handler(int number, std::function<void()> function) {
    check_usable();
    // Also the watch that a run keeps on SIGINT, which is then the program's own until the run ends.
    for (detail::SignalWatch* const watch : impl_->signals) {
        if (watch->number() == number) {
            watch->replace(std::move(function));
            return;
        }
    }
    impl_->signal_handlers.push_back(std::make_unique<detail::SignalWatch>(*this, number, std::move(function)));
}

bool Loop::remove_signal_handler(int number) {
    return std::erase_if(impl_->signal_handlers, [&](const auto& watch) { return watch->number() == number; }) != 0;
}

}  // namespace coaio
