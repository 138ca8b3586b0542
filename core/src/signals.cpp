// SPDX-License-Identifier: MIT
#include <coaio/core/detail/signals.hpp>

#include "loop_impl.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coaio::detail {

/// What the signal handler sees of a watch.
struct SignalRecord {
    Mailbox* mailbox;
    int wake_descriptor;
    bool insistent;
    std::atomic<unsigned> unseen = 0;
    struct sigaction before{};
};

namespace {

constexpr unsigned insistence = 3;

std::mutex table_mutex;
constinit std::array<std::atomic<SignalRecord*>, NSIG> table{};
// How many handlers are inside a record now, on any thread: one that is taken down is not freed before they are out.
constinit std::atomic<int> handlers_inside = 0;
static_assert(std::atomic<SignalRecord*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void end_as_by_default(int number) noexcept {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    ::sigaction(number, &standard, nullptr);
    ::raise(number);
}

void on_signal(int number) noexcept {
    const int saved = errno;
    handlers_inside.fetch_add(1);
    SignalRecord* const record = table[static_cast<std::size_t>(number)].load();
    if (record != nullptr) {
        const unsigned unseen = record->unseen.fetch_add(1) + 1;
        if (record->insistent && unseen >= insistence) end_as_by_default(number);
        record->mailbox->mark();
        const std::uint64_t one = 1;
        static_cast<void>(!::write(record->wake_descriptor, &one, sizeof one));
    }
    handlers_inside.fetch_sub(1);
    errno = saved;
}

}  // namespace

SignalWatch::SignalWatch(Loop& loop, int number, std::function<void()> function, bool insistent)
    : loop_(&loop), number_(number), function_(std::move(function)), record_(std::make_unique<SignalRecord>()) {
    if (number <= 0 || number >= NSIG) throw ValueError("there is no signal " + std::to_string(number));
    record_->mailbox = loop.impl().mailbox.get();
    record_->wake_descriptor = loop.impl().poller->wake_descriptor();
    record_->insistent = insistent;
    loop.impl().signals.reserve(loop.impl().signals.size() + 1);

    const std::lock_guard lock(table_mutex);
    auto& entry = table[static_cast<std::size_t>(number)];
    if (entry.load() != nullptr) {
        throw RuntimeError("signal " + std::to_string(number) + " is watched by a loop already");
    }
    entry.store(record_.get());
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (::sigaction(number, &action, &record_->before) != 0) {
        entry.store(nullptr);
        throw RuntimeError("signal " + std::to_string(number) + " cannot be caught");
    }
    loop.impl().signals.push_back(this);
}

SignalWatch::~SignalWatch() {
    std::erase(loop_->impl().signals, this);
    const std::lock_guard lock(table_mutex);
    ::sigaction(number_, &record_->before, nullptr);
    table[static_cast<std::size_t>(number_)].store(nullptr);
    while (handlers_inside.load() != 0) std::this_thread::yield();
}

void SignalWatch::look() {
    if (record_->unseen.exchange(0) != 0) loop_->call_soon(function_);
}

bool signal_is_free(int number) noexcept {
    struct sigaction now{};
    return ::syscall(SYS_gettid) == ::getpid() && ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL;
}

}  // namespace coaio::detail
