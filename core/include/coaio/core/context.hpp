// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/context_node.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace coaio {

/// A variable whose value belongs to the running task: a new task starts with a copy of its creator's values, and what
/// it sets stays its own. Give it static storage, as its address is its identity.
///
///     coaio::ContextVar<std::string> request_id;
///     request_id.set("a1");
///     auto id = request_id.get_or("none");
template <class T>
class ContextVar {
public:
    constexpr ContextVar() noexcept = default;
    ContextVar(const ContextVar&) = delete;
    ContextVar& operator=(const ContextVar&) = delete;

    /// The value in the running task, if it was set there or in an ancestor before the task was made.
    [[nodiscard]] std::optional<T> get() const {
        if (const T* value = find()) return *value;
        return std::nullopt;
    }
    [[nodiscard]] T get_or(T fallback) const {
        if (const T* value = find()) return *value;
        return fallback;
    }
    /// Throws `RuntimeError` outside a task.
    void set(T value) const { detail::bind_context(this, std::make_shared<const T>(std::move(value))); }

private:
    [[nodiscard]] const T* find() const noexcept {
        const auto* const context = detail::current_context();
        return context != nullptr ? static_cast<const T*>(context->find(this)) : nullptr;
    }

    char identity_ = 0;
};

}  // namespace coaio
