// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/gather_state.hpp>

#include <utility>

namespace coaio::detail {

/// The future that stands between an awaiter and the inner future: its end is carried over, its cancellation is not.
class ShieldBase : public FutureBase, private Runnable {
public:
    explicit ShieldBase(Ref<FutureBase> inner) noexcept
        : FutureBase(inner->core(), FutureKind::shield), inner_(std::move(inner)) {}

    void start() noexcept;
    bool cancel(CancelMessage message) noexcept override;
    void visit_children(void (*visit)(void*, const FutureBase&), void* closure) const override {
        if (inner_) visit(closure, *inner_);
    }

protected:
    /// Takes the value over, by code of the user's.
    virtual void transfer(FutureBase& inner) = 0;

private:
    void run() noexcept final;
    void take_over() noexcept;
    void discard() noexcept final { run(); }

    Ref<FutureBase> inner_;  // until it is cancelled or takes over
    DoneNode node_;
};

template <class T, bool Move>
class ShieldState final : public WithValue<T, ShieldBase> {
public:
    using WithValue<T, ShieldBase>::WithValue;

private:
    void transfer(FutureBase& inner) override {
        if constexpr (std::is_void_v<T>) {
            this->slot().emplace();
        } else if constexpr (std::is_reference_v<T>) {
            this->slot().emplace(static_cast<Slot<T>*>(inner.slot_address())->get());
        } else {
            this->slot().emplace(child_value<T, Move>(inner));
        }
    }
};

}  // namespace coaio::detail
