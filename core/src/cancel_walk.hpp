// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/future_of_many.hpp>
#include <coaio/core/detail/task_state.hpp>

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <vector>

namespace coaio::detail {

/// A request to cancel on its way: from a task to what it awaits, from a gather to each of its children, and so on, to
/// the leaves at which the last ones hang. However deep they lie, the native stack is not; of the many ways that may lead
/// to a gather one is taken. Where they await each other in a ring, the wait that closes it is ended.
class CancelWalk {
public:
    explicit CancelWalk(CancelMessage message) noexcept : message_(message) {}

    /// False when it is done already.
    bool cancel(TaskBase& task, CancelLevel& level) noexcept { return finish(follow(task, level)); }
    /// False when none of its children took the request.
    bool cancel(FutureOfMany& gather) noexcept { return finish(enter(gather, {})); }

private:
    /// Tasks of which each awaits the next one, and the level at which the last was asked.
    struct Chain {
        TaskBase* first = nullptr;
        TaskBase* last = nullptr;
        CancelLevel* level = nullptr;
    };
    /// A gather whose children are being asked, and who awaits it.
    struct Branch {
        Ref<FutureOfMany> gather;
        Chain chain;
        std::size_t next = 0;
        bool taken = false;
    };
    /// Whether the request was taken; none when it is up to a gather, which was entered.
    using Answer = std::optional<bool>;

    Answer ask(FutureBase& future) noexcept;
    Answer follow(TaskBase& first, CancelLevel& level) noexcept;
    Answer enter(FutureOfMany& gather, Chain chain) noexcept;
    bool leave() noexcept;
    bool finish(Answer answer) noexcept;
    void close_ring() noexcept;
    void end_wait(const TaskBase& task) noexcept;
    static void pass(const Chain& chain) noexcept;

    CancelMessage message_;
    std::vector<Branch> branches_;
    std::unordered_map<const FutureOfMany*, bool> asked_;  // those that were left, and whether they took the request
};

}  // namespace coaio::detail
