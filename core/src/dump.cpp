// SPDX-License-Identifier: MIT
#include <coaio/core/dump.hpp>

#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include "dump_walk.hpp"
#include "loop_registry.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace coaio {

namespace detail {

namespace {

// One line has no room for a path: the file's own name.
std::string short_site(const Place& place) {
    const std::string_view path = place.definition().file_name();
    return std::string(path.substr(path.rfind('/') + 1)) + ":" + std::to_string(place.line());
}

}  // namespace

std::string describe_task(const TaskBase& task, const std::string& result) {
    std::string text = "<Task ";
    switch (task.status()) {
    case FutureStatus::pending: text += task.bottom_requests() != 0 ? "cancelling" : "pending"; break;
    case FutureStatus::cancelled: text += "cancelled"; break;
    case FutureStatus::finished:
    case FutureStatus::failed: text += "finished"; break;
    }
    text += " name='" + task.name() + "' coro=<" + function_name(task.definition()) + "()";
    if (const PromiseBase* const root = task.root()) {
        text += " running at " + short_site(root->place);
    } else {
        text += " done, defined at " + short_site(Place(task.definition()));
    }
    text += ">";
    if (task.status() == FutureStatus::failed) text += " exception=" + describe_exception(task.stored_exception());
    if (!result.empty()) text += " result=" + result;
    return text + ">";
}

std::string show(double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", number);
    return text;
}

std::string show(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace detail

std::string dump_tasks(DumpOptions options) {
    const std::string text = detail::dump_loop(detail::require_core(), options);
    return options.format == DumpFormat::json ? "{" + text + "}" : text;
}

std::string dump_tasks(AllLoops, DumpOptions options) { return detail::dump_every_loop(options); }

std::optional<AnyTask> current_task() {
    static_cast<void>(detail::require_core());
    if (detail::thread_state.task == nullptr) return std::nullopt;
    return AnyTask(detail::Ref<detail::TaskBase>(detail::thread_state.task));
}

std::vector<AnyTask> all_tasks() {
    std::vector<AnyTask> tasks;
    for (detail::TaskBase* task = detail::require_core().tasks; task != nullptr; task = task->next_task()) {
        tasks.emplace_back(detail::Ref<detail::TaskBase>(task));
    }
    std::reverse(tasks.begin(), tasks.end());
    return tasks;
}

}  // namespace coaio
