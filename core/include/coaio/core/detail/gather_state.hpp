// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/future_of_many.hpp>
#include <coaio/core/ensure_future.hpp>
#include <coaio/core/outcome.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <ranges>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::detail {

/// The future behind a gather: knows when it is done. What it makes of the children's values is the derived type's.
class GatherBase : public FutureOfMany, private Observer, private Runnable {
public:
    using FutureOfMany::FutureOfMany;

    /// One more child. Throws `ValueError` when it is another loop's.
    void add(Ref<FutureBase> future);
    /// No more of them. While it waits for one it keeps itself alive.
    void start() noexcept;

protected:
    /// Makes the value of the children's: all are done.
    virtual void assemble() = 0;
    [[nodiscard]] virtual bool wants_exceptions() const noexcept = 0;

private:
    void ended(FutureBase& child) noexcept final;
    void note(FutureBase& child) noexcept;
    void run() noexcept final;
    // A gather of gathers ends with its loop, too.
    void discard() noexcept final { run(); }
    void schedule() noexcept;
    void complete() noexcept;

    std::size_t left_ = 0;
    std::exception_ptr failure_;  // the first, unless they are wanted
    bool started_ = false;
    bool waiting_ = false;  // for children, and so kept alive by itself
};

/// The value of a done child: moved out of what was given up, which then has it no more; copied out of a named
/// handle, or through the reference that the child gave.
template <class T, bool Move>
[[nodiscard]] Regular<std::remove_cvref_t<T>> child_value(FutureBase& child) {
    auto& slot = *static_cast<Slot<T>*>(child.slot_address());
    if constexpr (std::is_void_v<T>) {
        return {};
    } else if constexpr (Move && !std::is_reference_v<T>) {
        child.mark_taken();
        struct Destroy {
            Slot<T>& slot;
            ~Destroy() { slot.destroy(); }
        } const destroy{slot};
        return slot.take();
    } else {
        static_assert(std::is_copy_constructible_v<std::remove_cvref_t<T>>,
                      "the value of a named task is copied, as others may await it too: give up the handle with "
                      "std::move, or let the task give a copyable type");
        child.require_value();
        return slot.get();
    }
}

template <class T, bool Move>
[[nodiscard]] Outcome<std::remove_cvref_t<T>> child_outcome(FutureBase& child) {
    if (child.status() == FutureStatus::finished) return child_value<T, Move>(child);
    return child.stored_exception();
}

template <bool Exceptions, class T>
using GatherElement = std::conditional_t<Exceptions, Outcome<std::remove_cvref_t<T>>, Regular<std::remove_cvref_t<T>>>;

template <bool Exceptions, class T, bool Move>
[[nodiscard]] GatherElement<Exceptions, T> gather_element(FutureBase& child) {
    if constexpr (Exceptions) {
        return child_outcome<T, Move>(child);
    } else {
        return child_value<T, Move>(child);
    }
}

template <bool Exceptions, class... A>
class GatherTuple final : public WithValue<std::tuple<GatherElement<Exceptions, Held<A>>...>, GatherBase> {
public:
    using Value = std::tuple<GatherElement<Exceptions, Held<A>>...>;
    explicit GatherTuple(LoopCore& core) noexcept : WithValue<Value, GatherBase>(core) { this->set_room(room_.data()); }

private:
    void assemble() override { assemble(std::index_sequence_for<A...>()); }
    template <std::size_t... I>
    void assemble(std::index_sequence<I...>) {
        this->slot().emplace(
            gather_element<Exceptions, Held<A>, !std::is_lvalue_reference_v<A>>(*this->take_child(I))...);
    }
    [[nodiscard]] bool wants_exceptions() const noexcept override { return Exceptions; }

    std::array<typename GatherBase::Child, sizeof...(A)> room_;
};

template <bool Exceptions, class T, bool Move>
class GatherVector final : public WithValue<std::vector<GatherElement<Exceptions, T>>, GatherBase> {
public:
    using Value = std::vector<GatherElement<Exceptions, T>>;
    GatherVector(LoopCore& core, std::size_t size)
        : WithValue<Value, GatherBase>(core), room_(std::make_unique<Child[]>(size)) {
        this->set_room(room_.get());
    }

private:
    using Child = typename GatherBase::Child;

    void assemble() override {
        Value values;
        values.reserve(this->size());
        for (std::size_t i = 0; i < this->size(); ++i) {
            values.push_back(gather_element<Exceptions, T, Move>(*this->take_child(i)));
        }
        this->slot().emplace(std::move(values));
    }
    [[nodiscard]] bool wants_exceptions() const noexcept override { return Exceptions; }

    std::unique_ptr<Child[]> room_;
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
    using State = GatherVector<Exceptions, Held<A>, move>;
    const auto start = [where](auto& each) -> Ref<FutureBase> {
        if constexpr (move || IsCoro<A>::value) {
            return ensure_future(std::move(each), where).state();
        } else {
            return ensure_future(each, where).state();
        }
    };
    const auto gather_all = [](std::size_t count, auto& all, const auto& future_of) {
        auto* const gather = new State(require_core(), count);
        const Ref<FutureBase> state(gather);
        for (auto&& each : all) gather->add(future_of(each));
        gather->start();
        return Future<typename State::Value>(state);
    };
    if constexpr (std::ranges::sized_range<R>) {
        return gather_all(static_cast<std::size_t>(std::ranges::size(awaitables)), awaitables, start);
    } else {
        std::vector<Ref<FutureBase>> futures;
        for (auto&& each : awaitables) futures.push_back(start(each));
        return gather_all(futures.size(), futures, [](Ref<FutureBase>& each) { return std::move(each); });
    }
}

}  // namespace coaio::detail
