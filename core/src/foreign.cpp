// SPDX-License-Identifier: MIT
#include <coaio/core/detail/foreign.hpp>

#include <coaio/core/loop.hpp>

#include <atomic>
#include <exception>

namespace coaio::detail {

namespace {

// The coroutine behind the handle. It may be resumed on another thread, which may still be inside it when the task has
// already gone on; whoever comes last, the resumer or the owner, destroys it.
struct WakerPromise {
    enum State { idle, running, finished, orphaned };

    explicit WakerPromise(TaskBase& waking) noexcept : task(&waking) {}

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
    std::atomic<State> state = idle;
};

struct Waker {
    using promise_type = WakerPromise;
    Waker(std::coroutine_handle<WakerPromise> waker) noexcept : handle(waker) {}  // NOLINT: the return object
    std::coroutine_handle<WakerPromise> handle;
};

struct MarkRunning {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<WakerPromise> self) const noexcept {
        self.promise().state.store(WakerPromise::running);
        return false;
    }
    void await_resume() const noexcept {}
};

Waker wake_once(TaskBase& task) {
    co_await MarkRunning{};
    LoopCore& core = task.core();
    if (thread_state.core == &core) {
        task.wake();
    } else {
        core.loop->call_soon_threadsafe([&task] { task.wake(); });
    }
}

}  // namespace

ForeignWaker::ForeignWaker(TaskBase& task) : handle_(wake_once(task).handle) {}

ForeignWaker::~ForeignWaker() {
    auto handle = std::coroutine_handle<WakerPromise>::from_address(handle_.address());
    if (handle.promise().state.exchange(WakerPromise::orphaned) != WakerPromise::running) handle.destroy();
}

}  // namespace coaio::detail
