// SPDX-License-Identifier: MIT
#include <coaio/core/generator.hpp>

#include <coaio/core/detail/generators.hpp>
#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

#include <cstdint>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

namespace coaio {

Coro<> Loop::shutdown_asyncgens() { return detail::shutdown_generators(); }

GeneratorExit::~GeneratorExit() = default;
const char* GeneratorExit::what() const noexcept { return "the generator is being closed"; }

namespace detail {

namespace {

// Keeps a generator for the task that will close it: until that has begun, nobody else steps or closes it.
class ClosingClaim {
public:
    explicit ClosingClaim(GeneratorBase& generator) noexcept : generator_(&generator) {
        generator.state = GeneratorBase::State::running;
    }
    ClosingClaim(ClosingClaim&& other) noexcept : generator_(std::exchange(other.generator_, nullptr)) {}
    ClosingClaim& operator=(ClosingClaim&&) = delete;
    ~ClosingClaim() {
        if (generator_ == nullptr) return;
        generator_->state = GeneratorBase::State::suspended;
        if (generator_->owner == nullptr) generator_->destroy();
    }

    [[nodiscard]] GeneratorBase* take() noexcept {
        generator_->state = GeneratorBase::State::suspended;
        return std::exchange(generator_, nullptr);
    }

private:
    GeneratorBase* generator_;
};

Coro<> close_claimed(ClosingClaim claim) { co_await GeneratorClosing(claim.take()); }

Coro<> close_at_shutdown(ClosingClaim claim, std::source_location where) {
    try {
        co_await GeneratorClosing(claim.take());
    } catch (const BaseException&) {
        throw;
    } catch (...) {
        require_core().report("an error occurred during closing of the asynchronous generator " +
                                  describe_location(where),
                              std::current_exception());
    }
}

}  // namespace

GeneratorList::~GeneratorList() {
    while (first_ != nullptr) first_->unlink();
}

void GeneratorList::add(GeneratorBase& generator) noexcept {
    generator.next = first_;
    if (first_ != nullptr) first_->link = &generator.next;
    generator.link = &first_;
    first_ = &generator;
}

GeneratorOwner::GeneratorOwner(GeneratorBase& generator) noexcept : generator_(&generator) { generator.owner = this; }

GeneratorOwner::GeneratorOwner(GeneratorOwner&& other) noexcept : generator_(std::exchange(other.generator_, nullptr)) {
    if (generator_ != nullptr) generator_->owner = this;
}

GeneratorOwner& GeneratorOwner::operator=(GeneratorOwner&& other) noexcept {
    if (this != &other) {
        drop();
        generator_ = std::exchange(other.generator_, nullptr);
        if (generator_ != nullptr) generator_->owner = this;
    }
    return *this;
}

void GeneratorOwner::drop() noexcept {
    GeneratorBase* const generator = std::exchange(generator_, nullptr);
    if (generator == nullptr) return;
    generator->owner = nullptr;
    // One that is under way is dropped by whoever awaits its step.
    switch (generator->state) {
    case GeneratorBase::State::fresh: generator->destroy(); return;
    case GeneratorBase::State::suspended: generator->abandon(); return;
    case GeneratorBase::State::running: return;
    }
}

void GeneratorBase::throw_stop() { throw GeneratorExit(); }

void GeneratorBase::detach() noexcept {
    unlink();
    if (owner != nullptr) std::exchange(owner, nullptr)->generator_ = nullptr;
}

void GeneratorBase::destroy() noexcept {
    if (place.nowhere()) return;  // by `destroy_stack`
    detach();
    handle().destroy();
}

void GeneratorBase::abandon() noexcept {
    if (link == nullptr || thread_state.core != home || !home->loop->is_running()) {
        destroy();
        return;
    }
    try {
        ClosingClaim claim(*this);
        static_cast<void>(create_task(close_claimed(std::move(claim)), {.eager_start = false}));
    } catch (...) {  // no memory for the task: the claim has dropped it
    }
}

void GeneratorStep::require_idle(const char* what) const {
    if (generator_->state != GeneratorBase::State::running) return;
    throw RuntimeError(std::string(what) + ": the asynchronous generator is already running");
}

void GeneratorStep::enter() noexcept {
    if (generator_->state == GeneratorBase::State::fresh) {
        LoopCore& core = *thread_state.core;
        generator_->home = &core;
        core.generators.add(*generator_);
        if (core.generators.closing) {
            core.report("an asynchronous generator was started after the loop had closed its generators: " +
                            describe_location(generator_->place.definition()),
                        nullptr);
        }
    }
    generator_->state = GeneratorBase::State::running;
}

bool GeneratorStep::end() noexcept {
    stepping_ = false;
    if (!generator_->handle().done()) return true;
    std::exchange(generator_, nullptr)->destroy();
    return false;
}

void GeneratorStep::rest() noexcept {
    if (generator_->drop_value != nullptr) generator_->drop_value(*generator_);
    generator_->state = GeneratorBase::State::suspended;
    if (generator_->owner == nullptr) generator_->abandon();
}

bool GeneratorClose::await_ready() {
    if (generator_ == nullptr) return true;
    require_idle("aclose()");
    if (generator_->state != GeneratorBase::State::fresh) return false;
    std::exchange(generator_, nullptr)->destroy();
    return true;
}

void GeneratorClose::await_resume() {
    if (generator_ == nullptr) return;
    if (end()) {
        std::exchange(generator_, nullptr)->destroy();
        throw RuntimeError(
            "the asynchronous generator ignored GeneratorExit: it yielded again while it was being closed");
    }
    if (!has_exception_in_flight()) return;
    std::exception_ptr exception = thread_state.task->take_in_flight();
    if (*exception.__cxa_exception_type() != typeid(GeneratorExit)) std::rethrow_exception(std::move(exception));
}

Coro<> shutdown_generators() {
    GeneratorList& generators = require_core().generators;
    generators.closing = true;
    std::vector<Task<>> tasks;
    for (GeneratorBase* each = generators.first(); each != nullptr; each = each->next) {
        if (each->state != GeneratorBase::State::suspended) continue;
        const std::source_location where = each->place.definition();
        ClosingClaim claim(*each);
        tasks.push_back(create_task(close_at_shutdown(std::move(claim), where), {.eager_start = false}));
    }
    const std::uint32_t requests = current_task_state().bottom_requests();
    for (const Task<>& task : tasks) {
        try {
            co_await task;
        } catch (const CancelledError&) {
            // A closing that was cancelled by its own code is no concern of the others.
            if (current_task_state().bottom_requests() != requests) throw;
        }
    }
}

}  // namespace detail

}  // namespace coaio
