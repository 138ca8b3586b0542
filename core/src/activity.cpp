// SPDX-License-Identifier: MIT
#include <coaio/core/activity.hpp>

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/task_state.hpp>

#include <algorithm>

namespace coaio {

Activity::Activity() noexcept {
    detail::TaskBase* const task = detail::thread_state.task;
    if (task == nullptr) return;
    task_ = task->id();
    task->core().activities.push_back(*this);
}

void Activity::visit_children(void (*)(void*, const detail::FutureBase&), void*) const {}

std::string shortened(std::string_view text, std::size_t limit) {
    static constexpr std::string_view space = " \t\r\n\f\v";
    std::string out;
    std::size_t at = text.find_first_not_of(space);
    while (at < text.size()) {
        const std::size_t end = std::min(text.find_first_of(space, at), text.size());
        if (!out.empty()) out += ' ';
        out += text.substr(at, std::min(end - at, limit + 1));
        if (out.size() > limit) {
            std::size_t cut = limit;
            while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0) == 0x80) --cut;
            out.resize(cut);
            return out + "…";
        }
        at = text.find_first_not_of(space, end);
    }
    return out;
}

}  // namespace coaio
