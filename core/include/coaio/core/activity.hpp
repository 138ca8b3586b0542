// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/wait_link.hpp>
#include <coaio/core/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace coaio {

namespace detail {
class FutureBase;
}

/// Something a program may want to know of a wait: `descriptor`, 7.
struct WaitFact {
    std::string name;
    std::variant<std::int64_t, double, std::string> value;
};

/// What a suspended task waits for, or is in the midst of, in a dump of tasks. Made only when a dump is written.
/// Secrets do not belong here: who may read a dump need not be who may read the data.
struct WaitInfo {
    /// In words, for people: `sleep`, `lock held by Task-3`, `read from socket 7 (127.0.0.1:4711)`.
    std::string what;
    /// When the wait ends by itself.
    std::optional<TimePoint> until = std::nullopt;
    /// The future waited for, if it is one: a task or gather of the same dump, or what an activity itself waits on.
    const void* future = nullptr;
    /// The very thing waited for, the lock or the queue, by its address: whoever waits for the same has the same. A dump
    /// adds it to the words. Null: there is none, or the words say it.
    const void* object = nullptr;
    /// For programs, in the JSON form: numbers and names that `what` says in words.
    std::vector<WaitFact> facts = {};

    /// Adds a fact.
    WaitInfo& fact(std::string name, std::string value) & {
        facts.push_back({std::move(name), std::move(value)});
        return *this;
    }
    WaitInfo& fact(std::string name, double value) & {
        facts.push_back({std::move(name), value});
        return *this;
    }
    WaitInfo& fact(std::string name, std::size_t value) & {
        facts.push_back({std::move(name), static_cast<std::int64_t>(value)});
        return *this;
    }
};

/// The first line or so of a text that may be long, such as a statement, fit for a dump: white space folded, and cut
/// with an ellipsis after `limit` bytes, not inside a character.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t limit = 120);

/// A stretch of a task's life that its dump shows by a line of its own, from construction to destruction: a statement
/// that runs, a handshake, a group of tasks. For libraries, which derive from it and put it on the stack of a coroutine.
///
///     class Running final : public coaio::Activity {
///     public:
///         explicit Running(const std::string& sql) noexcept : sql_(sql) {}
///         coaio::WaitInfo describe() const override { return {.what = "query \"" + coaio::shortened(sql_) + "\""}; }
///     private:
///         const std::string& sql_;
///     };
///
///     const Running running(sql);
///     co_await answer();
///
/// Allocates nothing and makes no text until somebody asks. Where no task runs it is shown nowhere.
/// Lifetime: begins and ends on one loop; must not be moved. What `describe` looks at outlives it.
class Activity : private detail::WaitLink {
public:
    Activity(const Activity&) = delete;
    Activity& operator=(const Activity&) = delete;

    /// Called by a dump, on the loop's thread, also in the midst of a step, be it this task's own. With a `future`: who
    /// waits for that one waits for this.
    [[nodiscard]] virtual WaitInfo describe() const = 0;
    /// The tasks that stand below it in the tree. One that has any is an inner node.
    virtual void visit_children(void (*visit)(void* closure, const detail::FutureBase& child), void* closure) const;

    /// For the library: the task to which it belongs; 0: none.
    [[nodiscard]] std::uint64_t task_id() const noexcept { return task_; }
    [[nodiscard]] static const Activity& from_link(const detail::WaitLink& link) noexcept {
        return static_cast<const Activity&>(link);
    }

protected:
    /// Of the running task.
    Activity() noexcept;
    ~Activity() {
        if (linked()) unlink();
    }
    /// It is over before it goes.
    void finish() noexcept {
        if (linked()) unlink();
    }

private:
    std::uint64_t task_ = 0;
};

/// An activity that a function describes, which captures by reference what stands beside it on the coroutine's frame.
///
///     const coaio::Doing doing([&name] { return coaio::WaitInfo{.what = "look-up of " + name}; });
template <class F>
class Doing final : public Activity {
public:
    explicit Doing(F describe) noexcept : describe_(describe) {}
    [[nodiscard]] WaitInfo describe() const override { return describe_(); }

private:
    F describe_;
};

}  // namespace coaio
