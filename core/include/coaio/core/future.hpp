// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/context.hpp>
#include <coaio/core/detail/done_callback.hpp>
#include <coaio/core/detail/future_awaiter.hpp>
#include <coaio/core/error.hpp>

#include <exception>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

namespace coaio {

/// Names one registration made by `add_done_callback`.
class DoneCallbackToken {
public:
    DoneCallbackToken() noexcept = default;

private:
    template <class T>
    friend class Future;
    explicit DoneCallbackToken(detail::Ref<detail::DoneCallback> callback) noexcept : callback_(std::move(callback)) {}
    detail::Ref<detail::DoneCallback> callback_;
};

/// The lowest-level awaitable: a result that somebody will set, once.
///
/// A handle: cheap to copy, all copies mean the same future. Any number of tasks can await it, any number of times:
/// `co_await future` gives `const T&`, `co_await std::move(future)` moves the value out.
///
/// Errors: what was set by `set_exception`; `CancelledError` after `cancel()`. A failure that nobody ever looked at is
/// reported to the loop's exception handler when the last handle goes, or to stderr if the loop is closed by then.
/// Looked at means: it was thrown by an await or `result()`, given by `exception()`, or taken over by a gather or a
/// shield; a wait that was cancelled before does not count.
/// Cancellation: cancelling a task that awaits a future cancels the future; `shield` prevents that.
/// Lifetime: belongs to the loop that ran when it was made, and to that loop's thread. It does not say which loop that
/// is, as it may outlive it; `ensure_future(future, loop)` throws unless it is the one named.
///
///     coaio::Future<int> answer;
///     loop.call_later(1s, [answer] { answer.set_result(42); });
///     std::cout << co_await answer;
template <class T = void>
class Future {
public:
    using value_type = T;
    using coaio_awaitable = void;
    using Reference = std::add_lvalue_reference_t<std::add_const_t<T>>;

    /// A pending future of the running loop. Throws `RuntimeError` when none runs.
    Future(std::source_location where = std::source_location::current())  // NOLINT: {} makes one
        : state_(new detail::WithValue<T, detail::MadeFuture>(detail::require_core(), where)) {}

    [[nodiscard]] bool done() const noexcept { return state_->done(); }
    [[nodiscard]] bool cancelled() const noexcept { return state_->status() == detail::FutureStatus::cancelled; }

    /// The value. Throws what the future failed with, `CancelledError` when cancelled, `InvalidStateError` while
    /// pending.
    Reference result() const {
        state_->throw_unless_finished();
        state_->require_value();
        return slot().get();
    }
    /// What it failed with, null when it has a value. Throws `CancelledError` when cancelled, `InvalidStateError` while
    /// pending.
    [[nodiscard]] std::exception_ptr exception() const { return state_->exception(); }

    /// Cancels it and schedules everyone who waits. False when it was done already.
    bool cancel(const std::optional<std::string>& message = std::nullopt) const {
        detail::require_own_thread(&state_->core());
        return state_->cancel(message ? &*message : nullptr);
    }

    /// Sets the value and schedules everyone who waits. Throws `InvalidStateError` when done already.
    template <class... U>
        requires(std::is_void_v<T> ? sizeof...(U) == 0 : sizeof...(U) == 1)
    void set_result(U&&... value) const {
        require_settable();
        slot().emplace(std::forward<U>(value)...);
        state_->finish(detail::FutureStatus::finished);
    }
    /// Fails it. Throws `InvalidStateError` when done already, `ValueError` for null and for a `GeneratorExit`, which
    /// would end whatever generator awaits the future.
    void set_exception(std::exception_ptr exception) const {
        require_settable();
        detail::FutureBase::require_error(exception);
        state_->finish(detail::FutureStatus::failed, std::move(exception));
    }
    template <class E>
        requires(!std::is_same_v<std::remove_cvref_t<E>, std::exception_ptr>)
    void set_exception(E&& error) const {
        set_exception(std::make_exception_ptr(std::forward<E>(error)));
    }

    /// Calls `callback(future)` from the loop soon after it is done. Exceptions go to the loop's exception handler.
    template <class F>
        requires std::is_invocable_v<F&, const Future&>
    DoneCallbackToken add_done_callback(F callback, CallOptions options = {}) const {
        return add_done_callback_as<Future>(std::move(callback), options);
    }
    /// Takes a callback out again: 1 if it was waiting, 0 if not.
    std::size_t remove_done_callback(const DoneCallbackToken& token) const {
        return token.callback_ ? token.callback_->remove() : 0;
    }

    [[nodiscard]] auto operator co_await() const& { return detail::FutureAwaiter<T>(state_); }
    [[nodiscard]] auto operator co_await() && { return detail::TakingFutureAwaiter<T>(std::move(state_)); }

    /// Whether two handles mean the same future.
    template <class U>
    [[nodiscard]] bool same_as(const Future<U>& other) const noexcept {
        return state_.get() == other.state().get();
    }

    /// For the library.
    explicit Future(detail::Ref<detail::FutureBase> state) noexcept : state_(std::move(state)) {}
    [[nodiscard]] const detail::Ref<detail::FutureBase>& state() const noexcept { return state_; }

protected:
    template <class Handle, class F>
    DoneCallbackToken add_done_callback_as(F callback, CallOptions options) const {
        detail::require_own_thread(&state_->core());
        auto* const node = new detail::DoneCallbackOf<Handle, F>(Handle(state_), std::move(callback), options.context);
        return DoneCallbackToken(detail::Ref<detail::DoneCallback>(node->enlist()));
    }

private:
    void require_settable() const {
        detail::require_own_thread(&state_->core());
        state_->require_pending();
        if (state_->kind() != detail::FutureKind::future) {
            throw InvalidStateError("this future is a task's or a combinator's: it sets its own outcome");
        }
    }
    [[nodiscard]] detail::Slot<T>& slot() const noexcept {
        return *static_cast<detail::Slot<T>*>(state_->slot_address());
    }

    detail::Ref<detail::FutureBase> state_;
};

}  // namespace coaio
