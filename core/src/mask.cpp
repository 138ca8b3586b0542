// SPDX-License-Identifier: MIT
#include <coaio/core/mask.hpp>

#include <coaio/core/error.hpp>

namespace coaio::detail {

MaskGuard::MaskGuard() : task_(thread_state.task) {
    if (task_ == nullptr) throw RuntimeError("only a task can be masked from cancellation, and none is running");
    task_->push_level(level_);
}

}  // namespace coaio::detail
