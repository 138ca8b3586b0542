// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/activity.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/dump.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace coaio::detail {

/// A node of the tree, as the writers get them: each before its children, which are one deeper.
struct DumpNode {
    enum class Kind : std::uint8_t { task, group };
    enum class Place : std::uint8_t { here, above, below };

    Kind kind = Kind::task;
    Place place = Place::here;
    std::size_t depth = 0;
    const TaskBase* task = nullptr;
    WaitInfo group;
    std::vector<WaitInfo> doing;
    std::optional<WaitInfo> wait;
};

/// Turns nodes into text of some form.
class DumpWriter {
public:
    DumpWriter() = default;
    DumpWriter(const DumpWriter&) = delete;
    DumpWriter& operator=(const DumpWriter&) = delete;
    virtual ~DumpWriter();

    virtual void node(const DumpNode& node) = 0;
    /// No more nodes; so many tasks were left out.
    [[nodiscard]] virtual std::string finish(std::size_t omitted) = 0;
};

/// Goes through the tasks of a loop: roots first, each with what stands below it.
class DumpWalk {
public:
    DumpWalk(const LoopCore& core, DumpWriter& writer, std::size_t limit);
    /// Gives how many tasks were left out.
    std::size_t run();

private:
    struct Step {
        const FutureBase* future = nullptr;
        const Activity* activity = nullptr;
        std::size_t depth = 0;
    };
    using Futures = std::vector<const FutureBase*>;

    void find_awaited();
    void write_tree(const TaskBase& root);
    void write_task(const TaskBase& task, std::size_t depth);
    void write_group(const Step& step);
    void name_holder(WaitInfo& wait) const;
    void descend(const Futures& children, std::size_t depth);

    DumpWriter& writer_;
    std::size_t left_;
    std::vector<const TaskBase*> tasks_;
    std::unordered_map<std::uint64_t, std::vector<const Activity*>> activities_;
    std::unordered_set<const FutureBase*> awaited_;
    std::unordered_set<const void*> written_;
    std::deque<const TaskBase*> deferred_;
    std::vector<Step> steps_;
};

/// The dump of one loop, on its thread: lines, or the members of a JSON object without its braces.
[[nodiscard]] std::string dump_loop(const LoopCore& core, DumpOptions options);

}  // namespace coaio::detail
