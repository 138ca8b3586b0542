// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace coaio::detail {

/// One binding of a context, and all that were made before it: contexts are immutable and share their tails, so that
/// copying one into a new task costs a count.
class ContextNode {
public:
    ContextNode(ContextNode* next, const void* key, std::shared_ptr<const void> value) noexcept
        : next_(next), key_(key), value_(std::move(value)) {
        if (next_ != nullptr) next_->add_ref();
    }

    void add_ref() noexcept { ++refs_; }
    void release() noexcept;
    [[nodiscard]] const void* find(const void* key) const noexcept;
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
/// That of the callback, or of the job in a thread of a pool.
extern constinit thread_local ContextNode* job_context;
/// The context in which a callback was registered, kept for when it runs.
class CapturedContext {
public:
    CapturedContext() noexcept : node_(current_context()) {
        if (node_ != nullptr) node_->add_ref();
    }
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

/// Binds a variable in the running task's context. Throws `RuntimeError` outside a task.
void bind_context(const void* key, std::shared_ptr<const void> value);

}  // namespace coaio::detail
