// SPDX-License-Identifier: MIT
// Who holds a pool's connections, for people. The stacks are cut out of a dump of all tasks.
#include "pool_state.hpp"

#include <coaio/core/dump.hpp>
#include <coaio/core/loop.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace coaio::db::detail {
namespace {

using Json = nlohmann::json;

const Json* find_task(const Json& nodes, std::uint64_t id) {
    for (const Json& node : nodes) {
        const bool whole = node.value("kind", "") == "task" && !node.contains("elsewhere");
        if (whole && node["id"].get<std::uint64_t>() == id) return &node;
        if (!node.contains("children")) continue;
        if (const Json* const found = find_task(node["children"], id)) return found;
    }
    return nullptr;
}

std::string file_of(const Json& place) {
    const auto path = place["file"].get<std::string>();
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(place["line"].get<int>());
}

std::string stack_of(const Json& task) {
    const std::string indent = "\n    ";
    std::string text;
    for (const Json& frame : task.value("stack", Json::array())) {
        text += indent + frame["function"].get<std::string>() + " at " + file_of(frame);
    }
    for (const Json& doing : task.value("doing", Json::array())) {
        text += indent + "in the midst of " + doing["what"].get<std::string>();
    }
    if (task.contains("wait")) text += indent + "waits for " + task["wait"]["what"].get<std::string>();
    return text;
}

}  // namespace

std::string PoolState::dump() const {
    const PoolStats stats = statistics();
    std::string text = "pool " + connector_->target() + ": " + std::to_string(stats.in_use) + " of " +
                       std::to_string(values_.max_size) + " connections in use, " + std::to_string(stats.opening) +
                       " being opened, " + std::to_string(stats.waiting) + " tasks wait";
    Json tasks;
    if (loop_alive()) tasks = Json::parse(dump_tasks({.format = DumpFormat::json}));
    for (const Slot& slot : slots_) {
        if (slot.state != Slot::State::in_use || slot.holder == 0) continue;
        const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - slot.taken);
        text += "\nsession " + std::to_string(slot.link->pid()) + ", held for " + std::to_string(held.count()) +
                " ms by " + describe_holder(slot);
        if (slot.where.line() != 0) {
            text += ", taken at " + std::string(slot.where.file_name()) + ":" + std::to_string(slot.where.line());
        }
        if (tasks.is_null()) continue;
        const Json* const task = find_task(tasks["tasks"], slot.holder);
        if (task != nullptr) text += stack_of(*task);
    }
    return text;
}

}  // namespace coaio::db::detail
