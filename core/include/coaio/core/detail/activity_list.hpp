// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/wait_link.hpp>

namespace coaio::detail {

/// What the tasks of a loop are in the midst of, in the order in which it began. Its end cuts the members loose.
class ActivityList {
public:
    ActivityList() noexcept { ends_.next = ends_.prev = &ends_; }
    ActivityList(const ActivityList&) = delete;
    ActivityList& operator=(const ActivityList&) = delete;
    ~ActivityList() {
        while (ends_.next != &ends_) ends_.next->unlink();
    }

    void push_back(WaitLink& activity) noexcept { activity.insert_after(*ends_.prev); }
    [[nodiscard]] const WaitLink* first() const noexcept { return ends_.next; }
    [[nodiscard]] const WaitLink* end() const noexcept { return &ends_; }

private:
    WaitLink ends_;
};

}  // namespace coaio::detail
