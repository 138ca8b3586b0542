// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/frame_pool.hpp>
#include <coaio/core/detail/ready_queue.hpp>
#include <coaio/core/detail/slot.hpp>
#include <coaio/core/detail/suspension.hpp>

#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <utility>

namespace coaio::detail {

struct LoopCore;
class FutureBase;

enum class FutureStatus : std::uint8_t { pending, finished, failed, cancelled };

/// What kind of thing a future is in a task dump.
enum class FutureKind : std::uint8_t { future, task, gather, shield };

/// A place in a future's list of those to wake when it is done. Embedded in whoever waits.
struct DoneNode {
    DoneNode* next = nullptr;
    DoneNode* prev = nullptr;
    Entry target;

    [[nodiscard]] bool linked() const noexcept { return next != nullptr; }
};

/// Is told of the end of a future in that moment, before anybody else runs. It may make others ready, but run nothing.
class Observer {
public:
    virtual void ended(FutureBase& future) noexcept = 0;

protected:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    ~Observer() = default;
};

/// The shared state behind `Future` and `Task`: counted, of one thread, without its value.
class FutureBase : public Pooled {
public:
    FutureBase(LoopCore& core, FutureKind kind) noexcept : core_(&core), kind_(kind) {}
    FutureBase(const FutureBase&) = delete;
    FutureBase& operator=(const FutureBase&) = delete;
    virtual ~FutureBase() = default;

    void add_ref() noexcept { ++refs_; }
    void release() noexcept {
        if (--refs_ == 0) dispose();
    }
    [[nodiscard]] std::uint32_t refs() const noexcept { return refs_; }

    [[nodiscard]] FutureStatus status() const noexcept { return status_; }
    [[nodiscard]] bool done() const noexcept { return status_ != FutureStatus::pending; }
    [[nodiscard]] FutureKind kind() const noexcept { return kind_; }
    [[nodiscard]] LoopCore& core() const noexcept { return *core_; }

    /// Asks it to end. False when it is done already, or when there is nothing left to cancel.
    virtual bool cancel(CancelMessage message) noexcept;

    /// The `Slot<T>` of its value, for whoever knows T.
    [[nodiscard]] virtual void* slot_address() noexcept = 0;

    /// Visits the futures that this one waits for (the children of a gather).
    virtual void visit_children(void (*visit)(void* closure, const FutureBase& child), void* closure) const;

    void add_waiter(DoneNode& node) noexcept;
    void remove_waiter(DoneNode& node) noexcept;

    /// Settles it, once, and schedules everyone who waits. The value, if any, is in place before.
    void finish(FutureStatus status, std::exception_ptr exception = nullptr) noexcept;
    /// Throws `InvalidStateError` when it is done already.
    void require_pending() const;
    /// Throws `ValueError` unless it can be the failure of a future.
    static void require_error(const std::exception_ptr& exception);

    /// Throws what a failed or cancelled future holds; `InvalidStateError` while pending.
    void throw_unless_finished();
    /// The exception of a failed one, null of a finished one; throws when cancelled or pending.
    [[nodiscard]] std::exception_ptr exception();
    [[nodiscard]] const std::exception_ptr& stored_exception() const noexcept { return exception_; }
    /// Its failure has been seen by somebody: nothing to report when it goes.
    void mark_retrieved() noexcept { retrieved_ = true; }
    [[nodiscard]] bool has_value() const noexcept { return status_ == FutureStatus::finished && !taken_; }
    /// The value is about to be moved out; throws `InvalidStateError` when it was before.
    void mark_taken() {
        require_value();
        taken_ = true;
    }
    void require_value() const {
        if (taken_) [[unlikely]]
            throw_taken();
    }

    /// What it is, in words: `a future, created at main at main.cpp:7`.
    [[nodiscard]] virtual std::string subject() const;

protected:
    [[noreturn]] static void throw_taken();
    void dispose() noexcept;

    LoopCore* core_;
    union {
        DoneNode* waiters_ = nullptr;
        FutureBase* next_doomed_;  // once nobody refers to it
    };
    // While a task runs, an exception on its way from a coroutine to the one that awaits it; afterwards the outcome.
    std::exception_ptr exception_;
    std::uint32_t refs_ = 0;
    FutureStatus status_ = FutureStatus::pending;
    FutureKind kind_;
    bool retrieved_ = false;
    bool taken_ = false;

private:
    void destroy_with_children() noexcept;
};

/// The state of a future that a program made itself: it knows where. Its loop knows it, as nothing else might ever end
/// the wait of what waits for it and keeps it alive.
class MadeFuture : public FutureBase {
public:
    MadeFuture(LoopCore& core, const std::source_location& site) noexcept;
    ~MadeFuture() override { unlink(); }

    /// The loop closes: cancels it if anybody still waits for it.
    void abandon() noexcept;

    [[nodiscard]] std::string subject() const override;

private:
    void unlink() noexcept;

    std::source_location site_;
    MadeFuture* next_;
    MadeFuture** link_;  // what points to this one in the loop's list
};

/// A counted reference to a state.
template <class State>
class Ref {
public:
    Ref() noexcept = default;
    explicit Ref(State* state) noexcept : state_(state) {
        if (state_ != nullptr) state_->add_ref();
    }
    Ref(const Ref& other) noexcept : Ref(other.state_) {}
    Ref(Ref&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    template <class Derived>
        requires std::is_convertible_v<Derived*, State*>
    Ref(const Ref<Derived>& other) noexcept : Ref(static_cast<State*>(other.get())) {}
    Ref& operator=(Ref other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~Ref() {
        if (state_ != nullptr) state_->release();
    }

    [[nodiscard]] State* get() const noexcept { return state_; }
    State* operator->() const noexcept { return state_; }
    State& operator*() const noexcept { return *state_; }
    [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }

private:
    State* state_ = nullptr;
};

/// A state with room for its value: `Base` is `FutureBase`, the base of a task, or of a combinator's future.
template <class T, class Base>
class WithValue : public Base {
public:
    using Base::Base;
    ~WithValue() override {
        if (this->has_value()) slot_.destroy();
    }
    [[nodiscard]] Slot<T>& slot() noexcept { return slot_; }
    [[nodiscard]] void* slot_address() noexcept final { return &slot_; }

private:
    [[no_unique_address]] Slot<T> slot_;
};

/// The value of a done future, moved out, or what it failed with, thrown.
template <class T>
[[nodiscard]] T take_outcome(FutureBase& future) {
    future.throw_unless_finished();
    return static_cast<Slot<T>*>(future.slot_address())->take();
}

}  // namespace coaio::detail
