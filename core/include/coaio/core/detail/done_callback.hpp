// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/future_state.hpp>

#include <optional>
#include <string>
#include <utility>

namespace coaio::detail {

/// A function to call when a future is done: in the future's list, then in the ready queue, then gone.
class DoneCallback : public Runnable, public Pooled {
public:
    DoneCallback(const DoneCallback&) = delete;
    DoneCallback& operator=(const DoneCallback&) = delete;
    virtual ~DoneCallback() = default;

    void add_ref() noexcept { ++refs_; }
    void release() noexcept {
        if (--refs_ == 0) delete this;
    }

    /// Enters the future's list, or the ready queue when it is done already.
    DoneCallback* enlist() noexcept;
    /// How many it took out of the future's list: 1 or 0.
    std::size_t remove() noexcept;

    void run() noexcept final;
    void discard() noexcept final {
        drop();
        release();
    }

protected:
    DoneCallback(FutureBase& future, const Context* context) noexcept : future_(&future), context_(context) {}
    virtual void invoke() = 0;
    /// Lets go of the callable and of the future.
    virtual void drop() noexcept = 0;

private:
    FutureBase* future_;
    CapturedContext context_;
    DoneNode node_;
    std::uint32_t refs_ = 0;
};

template <class Handle, class F>
class DoneCallbackOf final : public DoneCallback {
public:
    DoneCallbackOf(Handle future, F function, const Context* context)
        : DoneCallback(*future.state(), context), call_(std::in_place, std::move(future), std::move(function)) {}

private:
    struct Call {
        Call(Handle f, F g) : future(std::move(f)), function(std::move(g)) {}
        Handle future;
        F function;
    };
    void invoke() override { call_->function(std::as_const(call_->future)); }
    void drop() noexcept override {
        const std::optional<Call> gone = std::exchange(call_, std::nullopt);
        static_cast<void>(gone);
    }

    std::optional<Call> call_;
};

/// Runs something of the user's from the loop: an error goes to the exception handler, a KeyboardInterrupt or
/// SystemExit leaves the loop.
void report_callback_failure(LoopCore& core, std::string what, const void* handle = nullptr) noexcept;

}  // namespace coaio::detail
