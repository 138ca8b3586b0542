// SPDX-License-Identifier: MIT
#include <coaio/core/detail/foreign.hpp>

#include "loop_impl.hpp"

#include <coaio/core/activity.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <unordered_set>

namespace coaio::detail {

namespace {

// The coroutine behind the handle. It may be resumed on another thread, which may still be inside it when the task has
// already gone on; and the task's frame may go, as its loop closes, while somebody keeps the handle. Whoever comes last
// destroys it: the owner if it has finished, otherwise its own end.
struct WakerPromise {
    enum State { idle, running, finished, orphaned };

    explicit WakerPromise(TaskBase& waking) : task(&waking), core(&waking.core()), door(core->loop->impl().mailbox) {}

    std::coroutine_handle<WakerPromise> get_return_object() noexcept {
        return std::coroutine_handle<WakerPromise>::from_promise(*this);
    }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    struct Final {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<WakerPromise> self) const noexcept {
            if (self.promise().state.exchange(finished) == orphaned) self.destroy();
        }
        void await_resume() const noexcept {}
    };
    [[nodiscard]] Final final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }

    TaskBase* task;
    LoopCore* core;
    std::shared_ptr<Mailbox> door;
    std::atomic<State> state = idle;
};

using WakerHandle = std::coroutine_handle<WakerPromise>;

// Those whose owner has gone and whose handle somebody may still resume.
struct Orphans {
    std::mutex mutex;
    std::unordered_set<void*> handles;
};

Orphans& orphans() {
    static auto* const instance = new Orphans;  // never destroyed: threads may end after main has
    return *instance;
}

struct Waker {
    using promise_type = WakerPromise;
    Waker(WakerHandle waker) noexcept : handle(waker) {}  // NOLINT: the return object
    WakerHandle handle;
};

// Gives whether there is still a task to wake.
struct Begin {
    WakerPromise* promise = nullptr;
    bool owned = false;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(WakerHandle self) noexcept {
        promise = &self.promise();
        auto expected = WakerPromise::idle;
        owned = promise->state.compare_exchange_strong(expected, WakerPromise::running);
        if (!owned) {
            const std::lock_guard lock(orphans().mutex);
            orphans().handles.erase(self.address());
        }
        return false;
    }
    [[nodiscard]] WakerPromise* await_resume() const noexcept { return owned ? promise : nullptr; }
};

Waker wake_once(TaskBase&) {
    WakerPromise* const mine = co_await Begin{};
    if (mine == nullptr) co_return;
    TaskBase* const task = mine->task;
    if (thread_state.core == mine->core) {
        task->wake();
    } else {
        const auto wake = [task] { task->wake(); };
        mine->door->post(std::make_shared<PostedCallOf<decltype(wake)>>(wake));
    }
}

WakerHandle own(std::coroutine_handle<> handle) noexcept { return WakerHandle::from_address(handle.address()); }

}  // namespace

ForeignWaker::ForeignWaker(TaskBase& task) : handle_(wake_once(task).handle) {}

void ForeignWaker::retire() noexcept { own(std::exchange(handle_, nullptr)).destroy(); }

ForeignWaker::~ForeignWaker() {
    if (!handle_) return;
    {
        const std::lock_guard lock(orphans().mutex);
        WakerPromise& promise = own(handle_).promise();
        auto expected = WakerPromise::idle;
        if (promise.state.compare_exchange_strong(expected, WakerPromise::orphaned)) {
            orphans().handles.insert(handle_.address());
            return;
        }
    }
    if (own(handle_).promise().state.exchange(WakerPromise::orphaned) == WakerPromise::finished) own(handle_).destroy();
}

WaitInfo ForeignWait::describe() const { return {.what = "an awaiter of another library"}; }

}  // namespace coaio::detail
