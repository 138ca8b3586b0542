// SPDX-License-Identifier: MIT
#include <coaio/core/wait.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/as_completed.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>
#include <memory>
#include <string>

namespace coaio::detail {

namespace {

// Shared by the callbacks on the futures: one of them may still be queued when the wait is over.
struct Waiting {
    Future<> waiter;
    std::size_t left;
    ReturnWhen when;

    void completed(const FutureBase& future) {
        --left;
        const bool failed = future.status() == FutureStatus::failed;
        const bool over =
            left == 0 || when == ReturnWhen::first_completed || (when == ReturnWhen::first_exception && failed);
        if (over && !waiter.done()) waiter.set_result();
    }
};

// Takes the callbacks off the futures however the wait ends.
class Hooks {
public:
    Hooks() = default;
    Hooks(const Hooks&) = delete;
    Hooks& operator=(const Hooks&) = delete;
    ~Hooks() {
        for (const auto& [future, token] : hooks_) static_cast<void>(future.remove_done_callback(token));
        if (timer_) timer_->cancel();
    }

    void add(const Ref<FutureBase>& future, const std::shared_ptr<Waiting>& waiting) {
        const Future<> view{future};
        hooks_.emplace_back(
            view, view.add_done_callback([waiting](const Future<>& done) { waiting->completed(*done.state()); }));
    }
    void set_timer(TimerHandle timer) { timer_ = std::move(timer); }

private:
    std::vector<std::pair<Future<>, DoneCallbackToken>> hooks_;
    std::optional<TimerHandle> timer_;
};

const char* name_of(ReturnWhen when) {
    switch (when) {
    case ReturnWhen::first_completed: return "first completed";
    case ReturnWhen::first_exception: return "first exception";
    case ReturnWhen::all_completed: break;
    }
    return "all completed";
}

WaitInfo describe_wait(const std::string& what, std::size_t pending, std::size_t total, const FutureBase& waiter) {
    const std::string how_many = std::to_string(pending) + " of " + std::to_string(total);
    WaitInfo info{.what = what + how_many + " pending)", .future = &waiter};
    info.fact("pending", pending).fact("total", total);
    return info;
}

class WaitActivity final : public Activity {
public:
    WaitActivity(const std::vector<Ref<FutureBase>>& futures, const Waiting& waiting) noexcept
        : futures_(futures), waiting_(waiting) {}

    [[nodiscard]] WaitInfo describe() const override {
        return describe_wait(std::string("wait (") + name_of(waiting_.when) + ", ", waiting_.left, futures_.size(),
                             *waiting_.waiter.state());
    }
    void visit_children(void (*visit)(void*, const FutureBase&), void* closure) const override {
        for (const auto& each : futures_) visit(closure, *each);
    }

private:
    const std::vector<Ref<FutureBase>>& futures_;
    const Waiting& waiting_;
};

bool satisfied(const std::vector<Ref<FutureBase>>& futures, ReturnWhen when) {
    std::size_t done = 0;
    bool failed = false;
    for (const auto& each : futures) {
        if (!each->done()) continue;
        ++done;
        failed = failed || each->status() == FutureStatus::failed;
    }
    return done == futures.size() || (done > 0 && when == ReturnWhen::first_completed) ||
           (failed && when == ReturnWhen::first_exception);
}

}  // namespace

void require_waitable(std::size_t count) {
    if (count == 0) throw ValueError("wait: there is nothing to wait for, the set of tasks is empty");
}

Coro<> wait_until(std::vector<Ref<FutureBase>> futures, ReturnWhen when, std::optional<Duration> timeout) {
    if (satisfied(futures, when)) {
        co_await sleep(Duration::zero());
        co_return;
    }
    std::size_t pending = 0;
    for (const auto& each : futures) pending += each->done() ? 0 : 1;
    const auto waiting = std::make_shared<Waiting>(Waiting{Future<>(), pending, when});
    Hooks hooks;
    for (const auto& each : futures) {
        if (!each->done()) hooks.add(each, waiting);
    }
    if (timeout) {
        hooks.set_timer(get_running_loop().call_later(*timeout, [waiting] {
            if (!waiting->waiter.done()) waiting->waiter.set_result();
        }));
    }
    const WaitActivity activity(futures, *waiting);
    co_await waiting->waiter;
}

WaitInfo CompletedActivity::describe() const {
    const auto pending = static_cast<std::size_t>(std::ranges::count_if(futures_, [](auto* each) { return each; }));
    return describe_wait("as_completed (", pending, futures_.size(), waiter_);
}

void CompletedActivity::visit_children(void (*visit)(void*, const FutureBase&), void* closure) const {
    for (const FutureBase* const each : futures_) {
        if (each != nullptr) visit(closure, *each);
    }
}

}  // namespace coaio::detail
