// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/context_node.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace coaio {

/// A variable whose value belongs to the running task: a new task starts with a copy of its creator's values, and what
/// it sets stays its own. Give it static storage, as its address is its identity; its name is for people.
///
///     coaio::ContextVar<std::string> request_id("request_id");
///     request_id.set("a1");
///     auto id = request_id.get_or("none");
template <class T>
class ContextVar {
public:
    constexpr ContextVar() noexcept = default;
    /// `name` is not copied.
    explicit constexpr ContextVar(const char* name) noexcept : name_(name) {}
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

    /// Remembers what the variable was before a `set`. Belongs to the task that set it.
    class Token {
    public:
        Token(Token&& other) noexcept
            : variable_(std::exchange(other.variable_, nullptr)),
              task_(other.task_),
              before_(std::move(other.before_)) {}
        Token& operator=(Token&& other) noexcept {
            variable_ = std::exchange(other.variable_, nullptr);
            task_ = other.task_;
            before_ = std::move(other.before_);
            return *this;
        }
        ~Token() = default;

    private:
        friend ContextVar;
        Token(const ContextVar& variable, std::shared_ptr<const void> before) noexcept
            : variable_(&variable), task_(detail::running_task_id()), before_(std::move(before)) {}

        const ContextVar* variable_;
        std::uint64_t task_;
        std::shared_ptr<const void> before_;  // null: it had no value
    };

    /// Throws `RuntimeError` outside a task: a callback can read what it was registered with, and set nothing.
    Token set(T value) const {
        return Token(*this, detail::bind_context(this, std::make_shared<const T>(std::move(value))));
    }
    /// Gives it back the value that it had before the `set` that gave the token, or none.
    /// Throws `ValueError` for another variable's token or another task's, `RuntimeError` for one that was used before.
    void reset(Token& token) const {
        detail::require_token(token.variable_, this, token.task_);
        detail::bind_context(this, std::move(token.before_));
        token.variable_ = nullptr;
    }

    [[nodiscard]] const char* name() const noexcept { return name_; }

private:
    [[nodiscard]] const T* find() const noexcept {
        const auto* const context = detail::current_context();
        return context != nullptr ? static_cast<const T*>(context->find(this)) : nullptr;
    }

    const char* name_ = "";
};

/// A set of values of context variables that several tasks use in place: given to `create_task` as an option, what one
/// of them sets the others see, and whoever holds the handle. Without one a task runs in a copy of its creator's values.
///
/// A handle: copies mean the same context. Belongs to one thread.
///
///     const coaio::Context context = coaio::copy_context();
///     co_await coaio::create_task(set_locale(), {.context = &context});
///     auto locale = context.get(current_locale);
class Context {
public:
    /// One in which no variable has a value.
    Context();
    Context(const Context& other) noexcept;
    Context& operator=(const Context& other) noexcept;
    ~Context();

    /// The variable's value in it.
    template <class T>
    [[nodiscard]] std::optional<T> get(const ContextVar<T>& variable) const {
        if (const void* value = node_->find(&variable)) return *static_cast<const T*>(value);
        return std::nullopt;
    }

    /// For the library.
    [[nodiscard]] detail::ContextNode& node() const noexcept { return *node_; }

private:
    friend Context copy_context();
    explicit Context(detail::ContextNode* bindings);

    detail::ContextNode* node_;
};

/// How a callback is called.
struct CallOptions {
    /// The context in which it reads its variables; null: a copy of that in which it is registered.
    const Context* context = nullptr;
};

/// The running task's or callback's values as they are now, in a context of their own.
[[nodiscard]] Context copy_context();

}  // namespace coaio
