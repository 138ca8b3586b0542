// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/frame_pool.hpp>
#include <coaio/core/detail/future_state.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/time.hpp>

#include <cstdint>
#include <optional>
#include <source_location>
#include <utility>

namespace coaio::detail {

/// The state behind `Handle`: a callback of the loop, counted.
class HandleState : public Runnable, public Pooled {
public:
    HandleState(const HandleState&) = delete;
    HandleState& operator=(const HandleState&) = delete;
    virtual ~HandleState() = default;

    void add_ref() noexcept { ++refs_; }
    void release() noexcept {
        if (--refs_ == 0) delete this;
    }

    void enqueue();
    void arm(std::int64_t when);
    void cancel() noexcept;
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
    [[nodiscard]] std::int64_t when() const noexcept { return when_; }

    void run() noexcept final;
    void discard() noexcept final;
    [[nodiscard]] const std::source_location* site() const noexcept final { return &site_; }

protected:
    HandleState(LoopCore& core, const Context* context, const std::source_location& site) noexcept
        : core_(&core), context_(context), timer_(Entry(static_cast<Runnable*>(this))), site_(site) {}
    virtual void invoke() = 0;
    virtual void drop() noexcept = 0;

private:
    LoopCore* core_;
    CapturedContext context_;
    Timer timer_;
    std::source_location site_;
    std::int64_t when_ = 0;
    std::uint32_t refs_ = 0;
    bool cancelled_ = false;
};

template <class F>
class HandleOf final : public HandleState {
public:
    HandleOf(LoopCore& core, F function, const Context* context, const std::source_location& site)
        : HandleState(core, context, site), function_(std::move(function)) {}

private:
    void invoke() override { (*function_)(); }
    void drop() noexcept override {
        // Detached first: what the callable's destructor does may come back here.
        const std::optional<F> gone = std::exchange(function_, std::nullopt);
        static_cast<void>(gone);
    }

    std::optional<F> function_;
};

}  // namespace coaio::detail

namespace coaio {

/// A callback that the loop will run; returned by `call_soon` and friends. Dropping it changes nothing.
class Handle {
public:
    /// The callback will not run, and what it captured is let go now. No effect when it ran or was cancelled before.
    void cancel() const noexcept { state_->cancel(); }
    [[nodiscard]] bool cancelled() const noexcept { return state_->cancelled(); }
    /// Whether this is the one that the context of an exception handler means.
    [[nodiscard]] bool is(const void* handle) const noexcept { return handle == state_.get(); }

    /// For the library.
    explicit Handle(detail::Ref<detail::HandleState> state) noexcept : state_(std::move(state)) {}

protected:
    detail::Ref<detail::HandleState> state_;
};

/// The handle of a callback with a time.
class TimerHandle : public Handle {
public:
    using Handle::Handle;
    /// When it is due, on the loop's clock.
    [[nodiscard]] TimePoint when() const noexcept { return TimePoint(Duration(state_->when())); }
};

}  // namespace coaio
