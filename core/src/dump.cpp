// SPDX-License-Identifier: MIT
#include <coaio/core/dump.hpp>

#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include "loop_registry.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

namespace coaio {

namespace {

using detail::FutureBase;
using detail::FutureKind;
using detail::PromiseBase;
using detail::TaskBase;

std::string seconds(std::int64_t nanoseconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(std::max<std::int64_t>(nanoseconds, 0)) / 1e9);
    return text;
}

std::string site(const std::source_location& where) {
    return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

const char* state_of(const TaskBase& task) {
    if (detail::thread_state.task == &task) return "running";
    if (!task.started()) return "not started";
    return task.leaf() != nullptr ? "waiting" : "ready";
}

class TreeWriter {
public:
    explicit TreeWriter(const detail::LoopCore& core) : now_(core.loop->time().time_since_epoch().count()) {
        for (const TaskBase* task = core.tasks; task != nullptr; task = task->next_task()) tasks_.push_back(task);
        std::reverse(tasks_.begin(), tasks_.end());
    }

    std::string write() {
        std::set<const FutureBase*> awaited;
        for (const TaskBase* task : tasks_) {
            for (const FutureBase* child : children(*task)) awaited.insert(child);
        }
        for (const TaskBase* task : tasks_) {
            if (awaited.count(task) == 0) write_task(*task, "");
        }
        // Tasks that await each other in a ring have no root of their own.
        for (const TaskBase* task : tasks_) {
            if (written_.count(task) == 0) write_task(*task, "");
        }
        return std::move(text_);
    }

private:
    static void collect(void* closure, const FutureBase& child) {
        static_cast<std::vector<const FutureBase*>*>(closure)->push_back(&child);
    }

    // The unfinished tasks that this one waits for, through gathers and shields.
    static std::vector<const FutureBase*> children(const TaskBase& task) {
        std::vector<const FutureBase*> found;
        if (task.leaf() == nullptr) return found;
        const void* const awaited = task.leaf()->describe().future;
        if (awaited == nullptr) return found;
        std::vector<const FutureBase*> open{static_cast<const FutureBase*>(awaited)};
        while (!open.empty()) {
            const FutureBase* const future = open.back();
            open.pop_back();
            if (future->done()) continue;
            if (future->kind() == FutureKind::task) {
                found.push_back(future);
            } else {
                const auto first = static_cast<std::ptrdiff_t>(open.size());
                future->visit_children(&collect, &open);
                std::reverse(open.begin() + first, open.end());
            }
        }
        return found;
    }

    void write_task(const TaskBase& task, const std::string& indent) {
        const std::string inner = indent + "|  ";
        text_ += indent + task.name() + " " + state_of(task) + ", age " + seconds(now_ - task.created()) +
                 ", created at " + site(task.spawn_site()) + "\n";
        if (!written_.insert(&task).second) {
            text_ += inner + "(shown above)\n";
            return;
        }
        write_stack(task, inner);
        if (task.leaf() == nullptr) return;
        write_wait(task, inner);
        for (const FutureBase* child : children(task)) write_task(static_cast<const TaskBase&>(*child), inner);
    }

    void write_stack(const TaskBase& task, const std::string& indent) {
        std::vector<const PromiseBase*> stack;
        // A task that runs hangs nowhere: the frame at which it hung last may be gone.
        const bool running = detail::thread_state.task == &task;
        for (const PromiseBase* frame = running ? task.root() : task.leaf_frame(); frame != nullptr;
             frame = frame->parent) {
            stack.push_back(frame);
        }
        for (auto frame = stack.rbegin(); frame != stack.rend(); ++frame) {
            text_ += indent + detail::describe_location((*frame)->location) + "\n";
        }
    }

    void write_wait(const TaskBase& task, const std::string& indent) {
        const WaitInfo info = task.leaf()->describe();
        std::string what = info.what;
        if (info.future != nullptr) {
            const auto& future = *static_cast<const FutureBase*>(info.future);
            switch (future.kind()) {
            case FutureKind::task: what = static_cast<const TaskBase&>(future).name(); break;
            case FutureKind::gather: what = "gather"; break;
            case FutureKind::shield: what = "shield"; break;
            case FutureKind::future: break;
            }
        }
        text_ += indent + "waits for " + what;
        if (info.until) text_ += ", " + seconds(info.until->time_since_epoch().count() - now_) + " to go";
        text_ += ", for " + seconds(now_ - task.since()) + "\n";
    }

    std::vector<const TaskBase*> tasks_;
    std::set<const FutureBase*> written_;
    std::int64_t now_;
    std::string text_;
};

}  // namespace

namespace detail {

namespace {

// One line has no room for a path: the file's own name.
std::string short_site(const std::source_location& where) {
    const std::string whole = site(where);
    return whole.substr(whole.rfind('/') + 1);
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
    if (!task.done()) {
        text += " running at " + short_site(task.root()->location);
    } else {
        text += " done, defined at " + short_site(task.definition());
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

std::string dump_tasks() { return TreeWriter(detail::require_core()).write(); }

std::string dump_tasks(AllLoops) { return detail::dump_every_loop(); }

std::optional<AnyTask> current_task() {
    static_cast<void>(detail::require_core());
    if (detail::thread_state.task == nullptr) return std::nullopt;
    return AnyTask(detail::Ref<TaskBase>(detail::thread_state.task));
}

std::vector<AnyTask> all_tasks() {
    std::vector<AnyTask> tasks;
    for (TaskBase* task = detail::require_core().tasks; task != nullptr; task = task->next_task()) {
        tasks.emplace_back(detail::Ref<TaskBase>(task));
    }
    std::reverse(tasks.begin(), tasks.end());
    return tasks;
}

}  // namespace coaio
