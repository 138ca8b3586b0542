// SPDX-License-Identifier: MIT
#include <coaio/core/loop.hpp>

#include <coaio/core/detail/context_node.hpp>
#include <coaio/core/detail/done_callback.hpp>
#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/task_state.hpp>
#include <coaio/core/dump.hpp>

#include "loop_impl.hpp"
#include "loop_registry.hpp"
#include "poller_epoll.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace coaio {

namespace {

// With work at hand the clock is looked at only after so many steps, or after so much time where steps are long; and the
// kernel is asked only if it has not been for a while, as asking costs as much as many short steps.
constexpr std::uint32_t most_steps_between_looks = 64;
constexpr std::int64_t time_between_looks = 1'000'000;
constexpr std::int64_t time_between_polls = 20'000;

// So that one task whose peer is always quicker than it cannot keep the others waiting.
constexpr std::uint32_t io_operations_per_step = 32;

bool debug_by_environment() {
    const char* const value = std::getenv("COAIO_DEBUG");
    return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

}  // namespace

Clock::time_point Clock::now() { return get_running_loop().time(); }

Duration to_duration(std::chrono::duration<double> delay) {
    const double seconds = delay.count();
    if (seconds != seconds) throw ValueError("a delay must be a number, this one is NaN");
    constexpr double limit = 9.0e9;  // seconds in Duration's range
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::clamp(seconds, -limit, limit)));
}

Loop& get_running_loop() { return *detail::require_core().loop; }

Loop::Loop() : impl_(std::make_unique<Impl>()), core_(impl_.get()) {
    impl_->loop = this;
    impl_->debug = debug_by_environment();
    impl_->poller = detail::make_epoll_poller(*impl_);
    impl_->mailbox = std::make_shared<detail::Mailbox>(*impl_->poller);
    impl_->now = impl_->read_clock();
    detail::register_loop(*this);
}

Loop::~Loop() {
    detail::unregister_loop(*this);
    if (!impl_->closed) close();
}

std::int64_t Loop::Impl::read_clock() const noexcept {
    if (virtual_time) return now;
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

TimePoint Loop::time() const noexcept { return TimePoint(Duration(impl_->read_clock())); }

bool Loop::has_virtual_time() const noexcept { return impl_->virtual_time; }

std::chrono::system_clock::time_point Loop::wall_time() const noexcept {
    if (!impl_->virtual_time) return std::chrono::system_clock::now();
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(Duration(impl_->now + impl_->wall_offset)));
}

std::uint64_t Loop::random() noexcept {
    if (!impl_->random_seeded) {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device()};
        impl_->random.seed(seed);
        impl_->random_seeded = true;
    }
    return impl_->random();
}

void Loop::check_usable() const {
    if (impl_->closed) throw RuntimeError("the event loop is closed");
    impl_->refuse_other_thread();
}

void Loop::Impl::refuse_other_thread() const {
    if (debug && running && thread != std::this_thread::get_id()) {
        throw RuntimeError("this loop runs in another thread: use call_soon_threadsafe");
    }
}

bool Loop::is_running() const noexcept { return impl_->running; }
bool Loop::is_closed() const noexcept { return impl_->closed; }

void Loop::stop() {
    impl_->refuse_other_thread();
    impl_->stopping = true;
}

void Loop::run_forever() {
    check_usable();
    if (impl_->running) throw RuntimeError("this event loop is already running");
    if (detail::thread_state.core != nullptr) {
        throw RuntimeError("another event loop is running in this thread: await instead of running");
    }
    impl_->run();
}

void Loop::Impl::run() {
    const detail::CoreGuard guard(*this);
    thread = std::this_thread::get_id();
    running = true;
    struct Reset {
        Impl& impl;
        ~Reset() {
            if (!impl.debug) impl.longest_step = std::max(impl.longest_step, impl.read_clock() - impl.now);
            impl.running = false;
            impl.stopping = false;
        }
    } const reset{*this};
    now = read_clock();  // what the thread did before the run is no step
    do {
        turn();
        if (escaping) [[unlikely]]
            std::rethrow_exception(std::exchange(escaping, nullptr));
    } while (!stopping);
}

void Loop::Impl::turn() {
    if (on_turn) [[unlikely]]
        on_turn(turns);
    if (mailbox->filled()) [[unlikely]]
        take_posted();
    if (ready.empty() || stopping || steps_since_look >= steps_between_looks || virtual_time) [[unlikely]]
        look_outside();
    if (shuffle) shuffle_ready();
    // While there is work at hand and nobody outside calls, the turns after this one need nothing of the above.
    do {
        ++turns;
        run_ready();
    } while (!ready.empty() && !stopping && !escaping && steps_since_look < steps_between_looks && !virtual_time &&
             !mailbox->filled());
}

void Loop::Impl::look_outside() {
    const std::int64_t before = read_clock();
    if (!debug) longest_step = std::max(longest_step, before - now);
    plan_next_look(before - now);
    now = before;
    steps_since_look = 0;
    if (ready.empty() || stopping || virtual_time || now - polled_at >= time_between_polls) {
        wait_for_work();
        now = polled_at = read_clock();
        if (mailbox->filled()) take_posted();
    }
    collect_due();
}

// From how long the steps since the last look took: the clock itself is not read between looks.
void Loop::Impl::plan_next_look(std::int64_t took) noexcept {
    if (took <= time_between_looks) {
        steps_between_looks = std::min(steps_between_looks * 2, most_steps_between_looks);
    } else {
        const auto fitting = std::int64_t{steps_since_look} * time_between_looks / took;
        steps_between_looks = std::clamp(static_cast<std::uint32_t>(fitting), 1U, most_steps_between_looks);
    }
}

void Loop::Impl::run_ready() {
    auto left = ready.size();
    steps_since_look += left;
    for (; left > 0 && !escaping; --left) {
        const detail::Entry entry = ready.pop();
        if (!entry) [[unlikely]]  // taken out while it was queued
            continue;
        io_budget = io_operations_per_step;
        if (debug) [[unlikely]] {
            run_timed(entry);
        } else if (entry.is_task()) {
            entry.task()->step();
        } else {
            entry.runnable()->run();
        }
    }
}

// On the virtual clock time moves only when nothing is ready and nothing outside can make anything ready: then it jumps
// to the next timer.
void Loop::Impl::wait_for_work() {
    const bool idle = ready.empty() && !stopping;
    const std::int64_t next = timers.earliest();
    if (!virtual_time) {
        std::int64_t timeout = 0;
        if (idle) timeout = timers.empty() ? -1 : std::max<std::int64_t>(next - now, 0);
        poller->poll(timeout);
        return;
    }
    const bool outside = outside_work.load(std::memory_order_acquire) != 0 || poller->outstanding() != 0;
    if (!idle || next <= now) {
        if (outside) poller->poll(0);
    } else if (outside) {
        poller->poll(-1);
    } else if (!timers.empty()) {
        now = next;
    } else if (!mailbox->filled()) {
        throw DeadlockError("deadlock: nothing is ready, no timer is armed and nothing outside is awaited\n" +
                            dump_tasks());
    }
}

void Loop::Impl::run_timed(detail::Entry entry) noexcept {
    const bool is_task = entry.is_task();
    const detail::Ref<detail::TaskBase> task(is_task ? entry.task() : entry.runnable()->stepped());
    const std::source_location* const made_at = is_task ? nullptr : entry.runnable()->site();
    const bool known = made_at != nullptr;
    const std::source_location site = known ? *made_at : std::source_location();
    // Where the step begins: where it ends, the task hangs somewhere else.
    const auto* const frame = task ? task->leaf_frame() : nullptr;
    const detail::Place place = frame != nullptr ? frame->place : detail::Place();
    const std::int64_t before = read_clock();
    if (is_task) {
        task->step();
    } else {
        entry.runnable()->run();
    }
    const std::int64_t took = read_clock() - before;
    longest_step = std::max(longest_step, took);
    if (took < slow_step) return;
    try {
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, "%.3f s", static_cast<double>(took) / 1e9);
        std::string who = "a callback";
        if (known) who += " (scheduled at " + detail::describe_location(site) + ")";
        if (task) who = task->name() + " (" + detail::describe_place(place) + ")";
        report(who + " kept the event loop busy for " + seconds, nullptr, task.get());
    } catch (const std::bad_alloc&) {  // the run matters more than the report
    }
}

void Loop::Impl::shuffle_ready() {
    std::vector<detail::Entry*> movable;
    for (detail::ReadyQueue::Position i = 0; i < ready.size(); ++i) {
        if (ready.at(i) && ready.at(i).is_task()) movable.push_back(&ready.at(i));
    }
    for (std::size_t i = movable.size(); i > 1; --i) std::swap(*movable[i - 1], *movable[random() % i]);
}

void Loop::Impl::take_posted() {
    mailbox->take(batch);
    for (auto& item : batch) {
        detail::Posted& posted = *item;
        posted.enter(*this, std::move(item));
    }
    batch.clear();
    for (detail::SignalWatch* const watch : signals) watch->look();
}

// In its own thread: what other threads posted before has its place before what is queued now.
void Loop::let_posted_in() {
    if (detail::thread_state.core == core_ && impl_->mailbox->filled()) impl_->take_posted();
}

void Loop::post(std::shared_ptr<detail::Posted> item) {
    if (detail::thread_state.core == core_) {  // in its own thread, where the order of call_soon holds
        let_posted_in();
        item->enter(*impl_, item);
        return;
    }
    if (!impl_->mailbox->post(std::move(item))) throw RuntimeError("the event loop is closed");
}

void Loop::run_until_done(detail::FutureBase& future) {
    check_usable();
    const Future<> watched{detail::Ref<detail::FutureBase>(&future)};
    // Shared with the callback, which may still be queued when the run ends by an exception: it must not stop a later
    // run then.
    struct Watch {
        bool waiting = true;
        bool finished = false;
    };
    const auto watch = std::make_shared<Watch>();
    struct Registration {
        const Future<>& future;
        Watch& watch;
        DoneCallbackToken token;
        ~Registration() {
            watch.waiting = false;
            future.remove_done_callback(token);
        }
    } const registration{watched, *watch, watched.add_done_callback([this, watch](const auto&) {
                             if (!watch->waiting) return;
                             watch->finished = true;
                             stop();
                         })};
    run_forever();
    if (!watch->finished) throw RuntimeError("the event loop was stopped before the future was done");
}

void Loop::close() {
    if (impl_->running) throw RuntimeError("a running event loop cannot be closed: stop it first");
    if (impl_->closed) return;
    const detail::CoreGuard guard(*impl_);
    impl_->drop_inside();
    impl_->drop_outside();
    impl_->drop_inside();
    impl_->closed = true;
}

// Until nothing is left: what is destroyed may still schedule something.
void Loop::Impl::drop_inside() {
    while (tasks != nullptr || futures != nullptr || !ready.empty() || !timers.empty()) {
        while (tasks != nullptr) tasks->abandon();
        while (futures != nullptr) futures->abandon();
        while (!ready.empty()) {
            const detail::Entry entry = ready.pop();
            if (entry && !entry.is_task()) entry.runnable()->discard();
        }
        if (timers.empty()) continue;
        const detail::Entry target = timers.pop().target();
        if (!target.is_task()) target.runnable()->discard();
    }
}

// What comes from outside finds a closed door; what is on its way there is forgotten.
void Loop::Impl::drop_outside() {
    signal_handlers.clear();
    while (jobs != nullptr) jobs->abandon();
    executor.reset();
    const auto unrun = mailbox->close();
    if (sockets != nullptr) sockets->loop_closed();
}

void Loop::set_exception_handler(ExceptionHandler handler) { impl_->exception_handler = std::move(handler); }

void Loop::call_exception_handler(const ExceptionContext& context) {
    if (!impl_->exception_handler) {
        default_exception_handler(context);
        return;
    }
    try {
        // A copy: the handler may set another one.
        const ExceptionHandler handler = impl_->exception_handler;
        handler(*this, context);
    } catch (...) {
        const std::exception_ptr failure = std::current_exception();
        if (detail::is_base_error(failure)) throw;
        detail::report_without_loop("the exception handler itself failed, with this", failure);
        default_exception_handler(context);
    }
}

void Loop::default_exception_handler(const ExceptionContext& context) const noexcept {
    detail::report_without_loop(context.message, context.exception);
}

void Loop::set_slow_step_limit(Duration limit) noexcept { impl_->slow_step = limit.count(); }
Duration Loop::slow_step_limit() const noexcept { return Duration(impl_->slow_step); }

LoopStats Loop::stats() const noexcept {
    LoopStats stats;
    stats.turns = impl_->turns;
    stats.ready = impl_->ready.size();
    stats.timers = impl_->timers.size();
    stats.tasks = impl_->task_count;
    const std::int64_t since_look = impl_->running && !impl_->debug ? impl_->read_clock() - impl_->now : 0;
    stats.longest_step = Duration(std::max(impl_->longest_step, since_look));
    stats.frame_pool_bytes = detail::frame_pool_bytes();
    return stats;
}

namespace detail {

void HandleState::enqueue() {
    core_->arm_now(timer_);
    add_ref();
}

void HandleState::arm(std::int64_t when) {
    when_ = when;
    core_->arm(timer_, when);
    add_ref();
}

void HandleState::cancel() noexcept {
    if (cancelled_) return;
    cancelled_ = true;
    const Ref<HandleState> keep(this);
    const bool queued = timer_.armed();
    if (queued) core_->disarm(timer_);
    drop();
    if (queued) release();
}

void HandleState::run() noexcept {
    timer_.fired();
    const Ref<HandleState> keep(this);
    release();
    context_.run([this] {
        try {
            invoke();
        } catch (...) {
            report_callback_failure(*core_, "Exception in a callback scheduled at " + describe_location(site_), this);
        }
    });
    drop();
}

void HandleState::discard() noexcept {
    timer_.fired();
    drop();
    release();
}

}  // namespace detail

}  // namespace coaio
