// SPDX-License-Identifier: MIT
#include <coaio/core/executor.hpp>

#include <coaio/core/error.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>
#include <signal.h>

namespace coaio {

struct ThreadPoolExecutor::State {
    State(std::size_t limit, std::string title) : max_threads(limit), name(std::move(title)) {}

    const std::size_t max_threads;
    const std::string name;
    std::mutex mutex;
    std::condition_variable work;
    std::deque<std::shared_ptr<detail::Job>> queue;
    std::size_t threads = 0;
    std::size_t idle = 0;
    bool closing = false;
    std::function<void()> ended;

    static void serve(const std::shared_ptr<State>& state) noexcept;
    void start_thread(const std::shared_ptr<State>& self);
};

namespace {

std::size_t default_threads() {
    return std::min<std::size_t>(32, std::max(1U, std::thread::hardware_concurrency()) + 4);
}

}  // namespace

void ThreadPoolExecutor::State::serve(const std::shared_ptr<State>& state) noexcept {
    std::function<void()> last;
    {
        std::unique_lock lock(state->mutex);
        for (;;) {
            if (!state->queue.empty()) {
                std::shared_ptr<detail::Job> job = std::move(state->queue.front());
                state->queue.pop_front();
                lock.unlock();
                job->work(job);
                job.reset();
                lock.lock();
                continue;
            }
            if (state->closing) break;
            ++state->idle;
            state->work.wait(lock);
            --state->idle;
        }
        if (--state->threads == 0) last = std::exchange(state->ended, nullptr);
    }
    if (last) last();
}

// Called with the mutex held.
void ThreadPoolExecutor::State::start_thread(const std::shared_ptr<State>& self) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread thread([self] { serve(self); });
        pthread_setname_np(thread.native_handle(), name.substr(0, 15).c_str());
        thread.detach();
        ++threads;
    } catch (const std::system_error&) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (threads == 0) throw RuntimeError("no thread can be started for a job: the system's limit is reached");
        return;  // those that run will come to it
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPoolExecutor::ThreadPoolExecutor(std::size_t max_threads, std::string name)
    : state_(std::make_shared<State>(max_threads != 0 ? max_threads : default_threads(), std::move(name))) {}

ThreadPoolExecutor::~ThreadPoolExecutor() {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    state_->work.notify_all();
}

std::size_t ThreadPoolExecutor::max_threads() const noexcept { return state_->max_threads; }

std::size_t ThreadPoolExecutor::threads() const {
    const std::lock_guard lock(state_->mutex);
    return state_->threads;
}

void ThreadPoolExecutor::submit(std::shared_ptr<detail::Job> job) {
    const std::lock_guard lock(state_->mutex);
    if (state_->closing) throw RuntimeError("the executor was shut down: it takes no more jobs");
    state_->queue.push_back(std::move(job));
    if (state_->idle >= state_->queue.size()) {
        state_->work.notify_one();
    } else if (state_->threads < state_->max_threads) {
        try {
            state_->start_thread(state_);
        } catch (...) {
            state_->queue.pop_back();
            throw;
        }
    } else {
        state_->work.notify_one();
    }
}

void ThreadPoolExecutor::shutdown(std::function<void()> ended) {
    {
        const std::lock_guard lock(state_->mutex);
        state_->closing = true;
        state_->work.notify_all();
        if (state_->threads != 0) {
            state_->ended = std::move(ended);
            return;
        }
    }
    ended();
}

}  // namespace coaio
