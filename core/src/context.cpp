// SPDX-License-Identifier: MIT
#include <coaio/core/context.hpp>

#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/error.hpp>

namespace coaio::detail {

void ContextNode::release() noexcept {
    ContextNode* node = this;
    while (node != nullptr && --node->refs_ == 0) {
        ContextNode* const next = node->next_;
        delete node;
        node = next;
    }
}

const void* ContextNode::find(const void* key) const noexcept {
    for (const ContextNode* node = this; node != nullptr; node = node->next_) {
        if (node->key_ == key) return node->value_.get();
    }
    return nullptr;
}

ContextNode* ContextNode::copy() const {
    auto* const node = new ContextNode(nullptr, key_, value_);
    node->add_ref();
    if (next_ != nullptr) node->next_ = next_->copy();
    return node;
}

constinit thread_local ContextNode* job_context = nullptr;

ContextNode* current_context() noexcept {
    return thread_state.task != nullptr ? thread_state.task->context() : job_context;
}

void bind_context(const void* key, std::shared_ptr<const void> value) {
    if (thread_state.task == nullptr) throw RuntimeError("a context variable can be set only inside a task");
    ContextNode*& context = thread_state.task->context();
    auto* const node = new ContextNode(context, key, std::move(value));
    node->add_ref();
    if (context != nullptr) context->release();
    context = node;
}

}  // namespace coaio::detail
