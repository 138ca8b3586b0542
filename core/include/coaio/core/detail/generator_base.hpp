// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/awaitable.hpp>
#include <coaio/core/detail/generator_list.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>

namespace coaio::detail {

struct LoopCore;
/// The object that the user has; it and its coroutine know each other, and either can go first.
class GeneratorOwner {
public:
    GeneratorOwner(const GeneratorOwner&) = delete;

protected:
    explicit GeneratorOwner(GeneratorBase& generator) noexcept;
    GeneratorOwner(GeneratorOwner&& other) noexcept;
    GeneratorOwner& operator=(GeneratorOwner&& other) noexcept;
    ~GeneratorOwner() { drop(); }

    /// Null once the coroutine has finished.
    [[nodiscard]] GeneratorBase* generator() const noexcept { return generator_; }

private:
    friend GeneratorBase;
    void drop() noexcept;

    GeneratorBase* generator_;
};

/// The part of a generator's promise that does not know what it yields.
struct GeneratorBase : PromiseBase, AwaitTransform {
    enum class State : std::uint8_t {
        fresh,      // not started
        suspended,  // at a co_yield
        running,    // somebody awaits its next step
    };

    ~GeneratorBase() { detach(); }

    void unlink() noexcept {
        if (link == nullptr) return;
        *link = next;
        if (next != nullptr) next->link = link;
        link = nullptr;
    }
    /// Nobody knows it any more: neither its owner nor its loop.
    void detach() noexcept;
    /// Drops the coroutine where it is.
    void destroy() noexcept;
    /// Nobody can ask it for more: the running loop closes it in a new task, without one it just goes.
    void abandon() noexcept;

    /// Gives the value that was just yielded to whoever awaits it.
    struct YieldAwaiter {
        GeneratorBase* generator;
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>, Here location = std::source_location::current()) const noexcept {
            generator->place.hang_at(location);
            thread_state.next = generator->parent.coroutine().handle();
        }
        void await_resume() const {
            if (generator->stopping) [[unlikely]]
                throw_stop();
        }
    };
    [[noreturn]] static void throw_stop();

    GeneratorOwner* owner = nullptr;
    LoopCore* home = nullptr;  // where it was started; alive as long as it is linked
    GeneratorBase* next = nullptr;
    GeneratorBase** link = nullptr;  // what points to this one in the loop's list
    State state = State::fresh;
    bool stopping = false;  // a stop is thrown at the co_yield
    /// Destroys a yielded value that nobody took; null when there is none.
    void (*drop_value)(GeneratorBase&) noexcept = nullptr;
};

/// One step of a generator in the task of whoever awaits it: from a co_yield to the next, or to the end.
class GeneratorStep {
public:
    explicit GeneratorStep(GeneratorBase* generator) noexcept : generator_(generator) {}
    GeneratorStep(const GeneratorStep&) = delete;
    GeneratorStep& operator=(const GeneratorStep&) = delete;

protected:
    ~GeneratorStep() {
        if (stepping_) [[unlikely]]
            generator_->destroy();
    }
    void require_idle(const char* what) const;
    template <class P>
    void begin(std::coroutine_handle<P> self, Here location) {
        self.promise().place.hang_at(location);
        generator_->parent = Parent(&self.promise());
        enter();
        stepping_ = true;
        thread_state.next = generator_->handle();
    }
    /// True when it stands at a co_yield; otherwise it has ended, and is gone.
    bool end() noexcept;
    /// Back at its co_yield, with the value taken: goes when its owner has gone meanwhile.
    void rest() noexcept;

    GeneratorBase* generator_;
    bool stepping_ = false;

private:
    void enter() noexcept;
};

/// `aclose()`.
class GeneratorClose final : public GeneratorStep {
public:
    using GeneratorStep::GeneratorStep;

    [[nodiscard]] bool await_ready();
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, Here location = std::source_location::current()) {
        begin(self, location);
        generator_->stopping = true;
    }
    void await_resume();
};

class [[nodiscard("co_await it")]] GeneratorClosing {
public:
    using coaio_awaitable = void;
    explicit GeneratorClosing(GeneratorBase* generator) noexcept : generator_(generator) {}
    [[nodiscard]] GeneratorClose operator co_await() const noexcept { return GeneratorClose(generator_); }

private:
    GeneratorBase* generator_;
};

}  // namespace coaio::detail
