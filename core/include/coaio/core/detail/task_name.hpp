// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace coaio::detail {

/// A task's number and, of the few that were given one, its name: one word, as most tasks have only a number.
class TaskName {
public:
    explicit TaskName(std::uint64_t id) noexcept : bits_(id << 1 | 1) {}
    TaskName(const TaskName&) = delete;
    TaskName& operator=(const TaskName&) = delete;
    ~TaskName() {
        if (given()) delete named();
    }

    [[nodiscard]] std::uint64_t id() const noexcept { return given() ? named()->id : bits_ >> 1; }
    [[nodiscard]] std::string get() const { return given() ? named()->name : "Task-" + std::to_string(id()); }
    void set(std::string name) {
        if (given()) {
            named()->name = std::move(name);
        } else {
            bits_ = reinterpret_cast<std::uintptr_t>(new Named{id(), std::move(name)});
        }
    }

private:
    struct Named {
        std::uint64_t id;
        std::string name;
    };
    [[nodiscard]] bool given() const noexcept { return (bits_ & 1) == 0; }
    [[nodiscard]] Named* named() const noexcept { return reinterpret_cast<Named*>(bits_); }

    std::uint64_t bits_;
};

}  // namespace coaio::detail
