// SPDX-License-Identifier: MIT
#include "dump_walk.hpp"

#include <coaio/core/detail/future_awaiter.hpp>
#include <coaio/core/detail/loop_core.hpp>

#include <algorithm>

namespace coaio::detail {

namespace {

// Deeper ones start a tree of their own, so that a long chain of tasks does not make lines as long as itself.
constexpr std::size_t most_depth = 64;

void collect(void* closure, const FutureBase& child) {
    if (!child.done()) static_cast<std::vector<const FutureBase*>*>(closure)->push_back(&child);
}

std::vector<const FutureBase*> members(const FutureBase& future) {
    std::vector<const FutureBase*> found;
    future.visit_children(&collect, &found);
    return found;
}

std::vector<const FutureBase*> members(const Activity& activity) {
    std::vector<const FutureBase*> found;
    activity.visit_children(&collect, &found);
    return found;
}

const FutureBase* awaited_in(const WaitInfo& wait) {
    const auto* const future = static_cast<const FutureBase*>(wait.future);
    return future != nullptr && !future->done() ? future : nullptr;
}

// What the task hangs on, if that is a future. Every task is asked, so others need not say what they wait for.
const FutureBase* awaited_by(const TaskBase& task) {
    const auto* const wait = dynamic_cast<const FutureWait*>(task.leaf());
    return wait != nullptr ? awaited_in(wait->describe()) : nullptr;
}

WaitInfo describe_group(const FutureBase& future) {
    if (future.kind() == FutureKind::shield) return {.what = "shield"};
    struct Count {
        std::size_t pending = 0;
        std::size_t total = 0;
    } count;
    future.visit_children(
        [](void* closure, const FutureBase& child) {
            auto& counted = *static_cast<Count*>(closure);
            ++counted.total;
            if (!child.done()) ++counted.pending;
        },
        &count);
    const std::string pending = std::to_string(count.pending);
    WaitInfo info{.what = "gather (" + pending + " of " + std::to_string(count.total) + " pending)"};
    info.fact("pending", count.pending).fact("total", count.total);
    return info;
}

}  // namespace

DumpWriter::~DumpWriter() = default;

DumpWalk::DumpWalk(const LoopCore& core, DumpWriter& writer, std::size_t limit) : writer_(writer), left_(limit) {
    for (const TaskBase* task = core.tasks; task != nullptr; task = task->next_task()) tasks_.push_back(task);
    std::reverse(tasks_.begin(), tasks_.end());
    for (const WaitLink* link = core.activities.first(); link != core.activities.end(); link = link->next) {
        const Activity& activity = Activity::from_link(*link);
        activities_[activity.task_id()].push_back(&activity);
    }
}

std::size_t DumpWalk::run() {
    find_awaited();
    const auto write_all = [this](bool roots) {
        for (const TaskBase* const task : tasks_) {
            if (roots && awaited_.contains(task)) continue;
            if (left_ != 0 && !written_.contains(task)) write_tree(*task);
            while (left_ != 0 && !deferred_.empty()) {
                const TaskBase* const next = deferred_.front();
                deferred_.pop_front();
                if (!written_.contains(next)) write_tree(*next);
            }
        }
    };
    write_all(true);
    write_all(false);  // those that await each other in a ring have no root of their own
    std::size_t omitted = 0;
    for (const TaskBase* const task : tasks_) omitted += written_.contains(task) ? 0 : 1;
    return omitted;
}

// The tasks that stand below others.
void DumpWalk::find_awaited() {
    Futures open;
    std::unordered_set<const FutureBase*> seen;
    for (const TaskBase* const task : tasks_) {
        if (const FutureBase* const future = awaited_by(*task); future != nullptr) open.push_back(future);
        const auto activities = activities_.find(task->id());
        if (activities != activities_.end()) {
            for (const Activity* const each : activities->second) each->visit_children(&collect, &open);
        }
        while (!open.empty()) {
            const FutureBase* const future = open.back();
            open.pop_back();
            if (future->kind() == FutureKind::task) {
                awaited_.insert(future);
            } else if (seen.insert(future).second) {
                future->visit_children(&collect, &open);
            }
        }
    }
}

void DumpWalk::write_tree(const TaskBase& root) {
    steps_.assign(1, Step{.future = &root});
    while (!steps_.empty() && left_ != 0) {
        const Step step = steps_.back();
        steps_.pop_back();
        if (step.future != nullptr && step.future->kind() == FutureKind::task) {
            write_task(static_cast<const TaskBase&>(*step.future), step.depth);
        } else {
            write_group(step);
        }
    }
    steps_.clear();
}

void DumpWalk::descend(const Futures& children, std::size_t depth) {
    for (auto each = children.rbegin(); each != children.rend(); ++each) {
        steps_.push_back({.future = *each, .depth = depth});
    }
}

void DumpWalk::write_task(const TaskBase& task, std::size_t depth) {
    DumpNode node;
    node.depth = depth;
    node.task = &task;
    const bool known = written_.contains(&task);
    if (known || depth >= most_depth) {
        node.place = known ? DumpNode::Place::above : DumpNode::Place::below;
        if (!known) deferred_.push_back(&task);
        writer_.node(node);
        return;
    }
    written_.insert(&task);
    --left_;
    if (task.leaf() != nullptr) {
        node.wait = task.leaf()->describe();
        name_holder(*node.wait);
        const FutureBase* const future = awaited_in(*node.wait);
        const bool is_node = future != nullptr && (future->kind() != FutureKind::future || !members(*future).empty());
        if (is_node) steps_.push_back({.future = future, .depth = depth + 1});
    }
    if (const auto found = activities_.find(task.id()); found != activities_.end()) {
        for (auto each = found->second.rbegin(); each != found->second.rend(); ++each) {
            const Activity& activity = **each;
            WaitInfo info = activity.describe();
            if (node.wait && info.future != nullptr && info.future == node.wait->future) {
                node.wait->what = info.what;
                node.wait->facts = info.facts;
            }
            if (members(activity).empty()) {
                node.doing.push_back(std::move(info));
            } else {
                steps_.push_back({.activity = &activity, .depth = depth + 1});
            }
        }
        std::reverse(node.doing.begin(), node.doing.end());
    }
    writer_.node(node);
}

// A wait knows who holds what it wants by number only: a name for each, out of all tasks, is for whoever has a list.
void DumpWalk::name_holder(WaitInfo& wait) const {
    for (const WaitFact& fact : wait.facts) {
        const auto* const number = fact.name == "holder" ? std::get_if<std::int64_t>(&fact.value) : nullptr;
        if (number == nullptr) continue;
        const auto id = static_cast<std::uint64_t>(*number);
        const auto found = std::ranges::lower_bound(tasks_, id, {}, &TaskBase::id);
        if (found == tasks_.end() || (*found)->id() != id) return;
        wait.what = "lock held by " + (*found)->name();
        const double age = static_cast<double>((*found)->core().now - (*found)->created()) / 1e9;
        wait.fact("holder_name", (*found)->name()).fact("holder_age", age);
        return;
    }
}

void DumpWalk::write_group(const Step& step) {
    DumpNode node;
    node.kind = DumpNode::Kind::group;
    node.depth = step.depth;
    node.group = step.activity != nullptr ? step.activity->describe() : describe_group(*step.future);
    const void* const identity = step.activity != nullptr ? static_cast<const void*>(step.activity) : step.future;
    const bool known = written_.contains(identity);
    const bool whole = !known && step.depth < most_depth;
    if (!whole) node.place = known ? DumpNode::Place::above : DumpNode::Place::below;
    if (whole) written_.insert(identity);
    writer_.node(node);
    if (whole) descend(step.activity != nullptr ? members(*step.activity) : members(*step.future), step.depth + 1);
}

}  // namespace coaio::detail
