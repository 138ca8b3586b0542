// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/future_state.hpp>

#include <cstddef>
#include <utility>

namespace coaio::detail {

/// A future that waits for others, its children, and passes a cancellation on to each of them.
class FutureOfMany : public FutureBase {
public:
    explicit FutureOfMany(LoopCore& core) noexcept : FutureBase(core, FutureKind::gather) {}

    /// False when it is done or none of its children took the request.
    bool cancel(CancelMessage message) noexcept final;
    void visit_children(void (*visit)(void*, const FutureBase&), void* closure) const final {
        for (std::size_t i = 0; i < size_; ++i) {
            if (children_[i].future) visit(closure, *children_[i].future);
        }
    }

protected:
    struct Child {
        Child() noexcept = default;
        Child(const Child&) = delete;
        Child& operator=(const Child&) = delete;
        ~Child() {
            if (node.linked()) future->remove_waiter(node);
        }
        Ref<FutureBase> future;
        DoneNode node;
    };

    /// Where the children are to lie: in the derived type.
    void set_room(Child* room) noexcept { children_ = room; }
    [[nodiscard]] Child& add_child(Ref<FutureBase> future) noexcept {
        Child& child = children_[size_++];
        child.future = std::move(future);
        return child;
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Null when it was given up: also while the values of the children are still being put together, which may run
    /// users' code.
    [[nodiscard]] FutureBase* child(std::size_t i) const noexcept { return children_[i].future.get(); }
    /// Gives up a child that is done.
    [[nodiscard]] Ref<FutureBase> take_child(std::size_t i) noexcept { return std::move(children_[i].future); }
    [[nodiscard]] bool cancel_requested() const noexcept { return cancel_requested_; }

private:
    friend class CancelWalk;

    Child* children_ = nullptr;
    std::size_t size_ = 0;
    bool cancel_requested_ = false;
    bool passing_ = false;  // a cancellation is on its way through it
};

}  // namespace coaio::detail
