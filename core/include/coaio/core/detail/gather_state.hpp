// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/ensure_future.hpp>
#include <coaio/core/outcome.hpp>

#include <cstddef>
#include <ranges>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::detail {

/// The future behind a gather: its children, and when it is done. What it becomes of their values is the derived type's.
class GatherBase : public FutureBase {
public:
    explicit GatherBase(LoopCore& core) noexcept : FutureBase(core, FutureKind::gather) {}

    void reserve(std::size_t count) { children_.reserve(count); }
    void add(Ref<FutureBase> child) { children_.emplace_back(*this, std::move(child)); }
    /// Waits for what was added. Every child that is not done yet holds a reference to the gather.
    void start();

    bool cancel(CancelMessage message) noexcept override;
    void visit_children(void (*visit)(void*, const FutureBase&), void* closure) const override;

protected:
    [[nodiscard]] FutureBase& child(std::size_t i) const noexcept { return *children_[i].future; }
    [[nodiscard]] std::size_t size() const noexcept { return children_.size(); }
    /// Makes the value of the children's: all are done.
    virtual void assemble() = 0;
    [[nodiscard]] virtual bool wants_exceptions() const noexcept = 0;

private:
    struct Child final : Runnable {
        Child(GatherBase& of, Ref<FutureBase> each) noexcept : gather(&of), future(std::move(each)) {}
        void run() noexcept override;
        void discard() noexcept override;

        GatherBase* gather;
        Ref<FutureBase> future;
        DoneNode node;
    };
    void child_done(FutureBase& child) noexcept;
    void complete() noexcept;

    std::vector<Child> children_;  // stays where it is once it is waited for
    std::size_t left_ = 0;
    bool cancel_requested_ = false;
};

/// The value of a done child: moved out of what was given up, which then has it no more; copied out of a named handle.
template <class T, bool Move>
[[nodiscard]] Regular<T> child_value(FutureBase& child) {
    auto& slot = *static_cast<Slot<T>*>(child.slot_address());
    if constexpr (std::is_void_v<T>) {
        return {};
    } else if constexpr (Move) {
        child.mark_taken();
        struct Destroy {
            Slot<T>& slot;
            ~Destroy() { slot.destroy(); }
        } const destroy{slot};
        return slot.take();
    } else {
        static_assert(std::is_copy_constructible_v<T>,
                      "the value of a named task is copied, as others may await it too: give up the handle with "
                      "std::move, or let the task give a copyable type");
        child.require_value();
        return slot.get();
    }
}

template <class T, bool Move>
[[nodiscard]] Outcome<T> child_outcome(FutureBase& child) {
    if (child.status() == FutureStatus::finished) return child_value<T, Move>(child);
    child.mark_retrieved();
    return child.stored_exception();
}

template <bool Exceptions, class T>
using GatherElement = std::conditional_t<Exceptions, Outcome<T>, Regular<T>>;

template <bool Exceptions, class T, bool Move>
[[nodiscard]] GatherElement<Exceptions, T> gather_element(FutureBase& child) {
    if constexpr (Exceptions) {
        return child_outcome<T, Move>(child);
    } else {
        return child_value<T, Move>(child);
    }
}

template <bool Exceptions, class... A>
class GatherTuple final : public WithValue<std::tuple<GatherElement<Exceptions, Awaited<A>>...>, GatherBase> {
public:
    using Value = std::tuple<GatherElement<Exceptions, Awaited<A>>...>;
    using WithValue<Value, GatherBase>::WithValue;

private:
    void assemble() override { assemble(std::index_sequence_for<A...>()); }
    template <std::size_t... I>
    void assemble(std::index_sequence<I...>) {
        this->slot().emplace(gather_element<Exceptions, Awaited<A>, !std::is_lvalue_reference_v<A>>(this->child(I))...);
    }
    [[nodiscard]] bool wants_exceptions() const noexcept override { return Exceptions; }
};

template <bool Exceptions, class T, bool Move>
class GatherVector final : public WithValue<std::vector<GatherElement<Exceptions, T>>, GatherBase> {
public:
    using Value = std::vector<GatherElement<Exceptions, T>>;
    using WithValue<Value, GatherBase>::WithValue;

private:
    void assemble() override {
        Value values;
        values.reserve(this->size());
        for (std::size_t i = 0; i < this->size(); ++i) {
            values.push_back(gather_element<Exceptions, T, Move>(this->child(i)));
        }
        this->slot().emplace(std::move(values));
    }
    [[nodiscard]] bool wants_exceptions() const noexcept override { return Exceptions; }
};

/// A coroutine that becomes a task among others: its spawn site is its own definition, as the call's line cannot be had.
template <class A>
[[nodiscard]] auto start_child(A&& awaitable) {
    if constexpr (IsCoro<A>::value) {
        const std::source_location where = awaitable.peek().place.definition();
        return ensure_future(std::forward<A>(awaitable), where);
    } else {
        return ensure_future(std::forward<A>(awaitable));
    }
}

template <class State, class... A>
[[nodiscard]] Future<typename State::Value> make_gather(A&&... awaitables) {
    auto* const gather = new State(require_core());
    const Ref<FutureBase> state(gather);
    gather->reserve(sizeof...(A));
    // Through the comma, which runs left to right; the order of a call's arguments is the compiler's.
    (gather->add(start_child(std::forward<A>(awaitables)).state()), ...);
    gather->start();
    return Future<typename State::Value>(state);
}

template <bool Exceptions, class R>
[[nodiscard]] auto make_range_gather(R&& awaitables, std::source_location where) {
    using Element = std::ranges::range_reference_t<R>;
    using A = std::ranges::range_value_t<R>;
    // A named vector of tasks keeps its tasks' values; one that is given up, or a range of temporaries, does not.
    constexpr bool move = !(std::is_lvalue_reference_v<R> && std::is_lvalue_reference_v<Element>);
    using State = GatherVector<Exceptions, Awaited<A>, move>;
    auto* const gather = new State(require_core());
    const Ref<FutureBase> state(gather);
    if constexpr (std::ranges::sized_range<R>) gather->reserve(std::ranges::size(awaitables));
    for (auto&& each : awaitables) {
        if constexpr (move || IsCoro<A>::value) {
            gather->add(ensure_future(std::move(each), where).state());
        } else {
            gather->add(ensure_future(each, where).state());
        }
    }
    gather->start();
    return Future<typename State::Value>(state);
}

}  // namespace coaio::detail
