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

const std::shared_ptr<const void>& ContextNode::find_shared(const void* key) const noexcept {
    static const std::shared_ptr<const void> unbound;
    for (const ContextNode* node = this; node != nullptr; node = node->next_) {
        if (node->key_ == key) return node->value_;
    }
    return unbound;
}

ContextNode* ContextNode::copy() const {
    auto* const node = new ContextNode(nullptr, key_, value_);
    node->add_ref();
    if (next_ != nullptr) node->next_ = next_->copy();
    return node;
}

// A variable that is bound again and again must not make the context longer and longer: what lies before its older
// binding is made anew, without that.
ContextNode* ContextNode::bind(ContextNode* bindings, const void* key, std::shared_ptr<const void> value) {
    const ContextNode* older = bindings;
    while (older != nullptr && older->key_ != key) older = older->next_;
    Ref<ContextNode> head(new ContextNode(older != nullptr ? older->next_ : bindings, key, std::move(value)));
    if (older != nullptr) {
        for (const ContextNode* each = bindings; each != older; each = each->next_) {
            head = Ref<ContextNode>(new ContextNode(head.get(), each->key_, each->value_));
        }
    }
    head->add_ref();
    return head.get();
}

void ContextNode::insert(const void* key, std::shared_ptr<const void> value) {
    ContextNode* const outdated = std::exchange(next_, bind(next_, key, std::move(value)));
    if (outdated != nullptr) outdated->release();
}

constinit thread_local ContextNode* job_context = nullptr;

ContextNode* current_context() noexcept {
    return thread_state.task != nullptr ? thread_state.task->context() : job_context;
}

ContextNode* capture_context() noexcept {
    ContextNode* const running = current_context();
    ContextNode* const bindings = running != nullptr ? running->bindings() : nullptr;
    if (bindings != nullptr) bindings->add_ref();
    return bindings;
}

ContextScope::ContextScope(ContextNode* context) noexcept
    : outer_context_(std::exchange(job_context, context)), outer_task_(std::exchange(thread_state.task, nullptr)) {}

ContextScope::~ContextScope() {
    job_context = outer_context_;
    thread_state.task = outer_task_;
}

CapturedContext::CapturedContext(const Context* context) noexcept
    : node_(context != nullptr ? &context->node() : capture_context()) {
    if (context != nullptr) node_->add_ref();
}

void TaskBase::use_context(const Context& context) noexcept {
    if (context_ != nullptr) context_->release();
    context_ = &context.node();
    context_->add_ref();
}

std::shared_ptr<const void> bind_context(const void* key, std::shared_ptr<const void> value) {
    if (thread_state.task == nullptr) throw RuntimeError("a context variable can be set only inside a task");
    ContextNode*& context = thread_state.task->context();
    auto before = context != nullptr ? context->find_shared(key) : nullptr;
    if (context != nullptr && context->shared()) {
        context->insert(key, std::move(value));
        return before;
    }
    ContextNode* const outdated = std::exchange(context, ContextNode::bind(context, key, std::move(value)));
    if (outdated != nullptr) outdated->release();
    return before;
}

std::uint64_t running_task_id() noexcept { return thread_state.task != nullptr ? thread_state.task->id() : 0; }

void require_token(const void* of, const void* variable, std::uint64_t task) {
    if (of == nullptr) throw RuntimeError("this token of a context variable has been used already");
    if (of != variable) throw ValueError("this token belongs to another context variable");
    if (task != running_task_id()) throw ValueError("this token belongs to another task: each has its own values");
}

}  // namespace coaio::detail

namespace coaio {

Context::Context() : node_(new detail::ContextNode(nullptr, nullptr, nullptr)) { node_->add_ref(); }

Context::Context(detail::ContextNode* bindings) : node_(new detail::ContextNode(bindings, nullptr, nullptr)) {
    node_->add_ref();
}

Context::Context(const Context& other) noexcept : node_(other.node_) { node_->add_ref(); }

Context& Context::operator=(const Context& other) noexcept {
    Context copy(other);
    std::swap(node_, copy.node_);
    return *this;
}

Context::~Context() { node_->release(); }

Context copy_context() {
    detail::ContextNode* const running = detail::current_context();
    return Context(running != nullptr ? running->bindings() : nullptr);
}

}  // namespace coaio
