// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace coaio {
class Context;
}

namespace coaio::detail {

class TaskBase;

/// One binding of a context, and all that were made before it: bindings are immutable and share their tails, so that
/// copying a context into a new task costs a count. A node without a key binds nothing: it stands in front of a context
/// that several tasks use in place, and what they bind goes behind it.
class ContextNode {
public:
    ContextNode(ContextNode* next, const void* key, std::shared_ptr<const void> value) noexcept
        : next_(next), key_(key), value_(std::move(value)) {
        if (next_ != nullptr) next_->add_ref();
    }

    void add_ref() noexcept { ++refs_; }
    void release() noexcept;
    [[nodiscard]] const void* find(const void* key) const noexcept { return find_shared(key).get(); }
    [[nodiscard]] const std::shared_ptr<const void>& find_shared(const void* key) const noexcept;
    [[nodiscard]] bool shared() const noexcept { return key_ == nullptr; }
    /// What a copy of the context starts with: the bindings as they are now.
    [[nodiscard]] ContextNode* bindings() noexcept { return shared() ? next_ : this; }
    /// The bindings with one more, in place of what the variable was bound to; counted once for the caller.
    [[nodiscard]] static ContextNode* bind(ContextNode* bindings, const void* key, std::shared_ptr<const void> value);
    /// Binds in a shared context.
    void insert(const void* key, std::shared_ptr<const void> value);
    /// The same bindings in nodes of their own, for another thread: counts are of one thread. Counted once.
    [[nodiscard]] ContextNode* copy() const;

private:
    ContextNode* next_;
    const void* key_;
    std::shared_ptr<const void> value_;
    std::uint32_t refs_ = 0;
};

/// The context of the running task, or of the callback or job that this thread runs; null when it is empty.
[[nodiscard]] ContextNode* current_context() noexcept;
/// The bindings of the running context as they are now, counted once for the caller; null when there are none.
[[nodiscard]] ContextNode* capture_context() noexcept;
/// That of the callback, or of the job in a thread of a pool.
extern constinit thread_local ContextNode* job_context;

/// Runs what follows, until the end of the scope, in a context and outside of any task.
class ContextScope {
public:
    explicit ContextScope(ContextNode* context) noexcept;
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;
    ~ContextScope();

private:
    ContextNode* outer_context_;
    TaskBase* outer_task_;
};

/// The context of a callback, kept for when it runs.
class CapturedContext {
public:
    /// That which runs, or the one that is named.
    explicit CapturedContext(const Context* context = nullptr) noexcept;
    CapturedContext(const CapturedContext&) = delete;
    CapturedContext& operator=(const CapturedContext&) = delete;
    ~CapturedContext() {
        if (node_ != nullptr) node_->release();
    }
    /// Calls `function()` in it.
    template <class F>
    void run(F&& function) const {
        struct Restore {
            ContextNode* outer;
            ~Restore() { job_context = outer; }
        } const restore{std::exchange(job_context, node_)};
        std::forward<F>(function)();
    }

private:
    ContextNode* node_;
};

/// Binds a variable in the running task's context, to nothing if `value` is null, and gives what it was bound to. Throws
/// `RuntimeError` outside a task.
std::shared_ptr<const void> bind_context(const void* key, std::shared_ptr<const void> value);
/// 0 outside a task.
[[nodiscard]] std::uint64_t running_task_id() noexcept;
/// Throws unless a token, of the variable `of` (null: used) and set by the task `task`, is good for `variable` here.
void require_token(const void* of, const void* variable, std::uint64_t task);

}  // namespace coaio::detail
