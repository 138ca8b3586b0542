// SPDX-License-Identifier: MIT
#include <coaio/http/server.hpp>

#include "session.hpp"
#include "worker.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/run.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace coaio::http {

using detail::Settings;
using detail::Worker;

namespace {

// Sessions are waited for to their end, and for whatever they have masked.
Duration wait_after(Duration grace) {
    return std::clamp(grace, Duration::zero(), Duration(std::chrono::hours(1000))) + std::chrono::minutes(6);
}

/// A worker on a thread of its own. What it says to the server's loop goes through that loop's door.
class RemoteWorker {
public:
    RemoteWorker(Loop& home, std::shared_ptr<const Settings> settings, detail::BuildApp build, std::uint16_t port)
        : home_(home), settings_(std::move(settings)), build_(std::move(build)), port_(port) {}
    RemoteWorker(const RemoteWorker&) = delete;
    RemoteWorker& operator=(const RemoteWorker&) = delete;
    ~RemoteWorker() {
        if (!thread_.joinable()) return;
        ask_to_stop(Duration::zero());
        thread_.join();
    }

    /// Returns when it accepts connections; throws what hindered it.
    Coro<> start() {
        thread_ = std::thread([this] { run(); });
        co_await signals_->started.wait();
        if (failure_) std::rethrow_exception(failure_);
    }
    void ask_to_stop(Duration grace) noexcept {
        const std::lock_guard lock(mutex_);
        grace_ = grace;
        asked_ = true;
        if (loop_ == nullptr) return;
        loop_->call_soon_threadsafe([this] { stop_.set(); });
    }
    Coro<> ended() {
        co_await signals_->ended.wait();
        thread_.join();
    }

private:
    void run() noexcept {
        try {
            Runner runner;
            runner.run(serve());
            runner.close();
        } catch (...) {
            failure_ = std::current_exception();
            tell(&Signals::started);
        }
        tell(&Signals::ended);
    }
    Coro<> serve() {
        {
            const std::lock_guard lock(mutex_);
            loop_ = &get_running_loop();
            if (asked_) stop_.set();
        }
        Worker worker(settings_);
        std::exception_ptr failure;
        try {
            co_await worker.start(build_, port_, true);
        } catch (...) {
            failure = std::current_exception();
        }
        failure_ = failure;
        tell(&Signals::started);
        if (!failure) {
            co_await stop_.wait();
            co_await worker.stop(grace_);
        }
        const std::lock_guard lock(mutex_);
        loop_ = nullptr;
    }
    /// Of the home loop.
    struct Signals {
        Event started;
        Event ended;
    };
    void tell(Event Signals::* event) noexcept {
        try {
            home_.call_soon_threadsafe([signals = signals_, event] { (signals.get()->*event).set(); });
        } catch (const Error&) {  // NOLINT: that loop is closed, and nobody waits any more
        }
    }

    Loop& home_;
    std::shared_ptr<const Settings> settings_;
    detail::BuildApp build_;
    std::uint16_t port_;
    std::thread thread_;
    std::mutex mutex_;
    Loop* loop_ = nullptr;  // while it can be spoken to; under the mutex, as is what follows
    Duration grace_{};
    bool asked_ = false;
    std::exception_ptr failure_;  // written before `started` is told
    Event stop_;                  // of the worker's loop
    std::shared_ptr<Signals> signals_ = std::make_shared<Signals>();
};

}  // namespace

struct Server::State {
    State(detail::BuildApp build_app, const ServeOptions& options)
        : settings(std::make_shared<Settings>(options)), build(std::move(build_app)), worker(settings) {}

    enum class Phase { fresh, starting, running, stopping, stopped };

    std::shared_ptr<const Settings> settings;
    detail::BuildApp build;
    Worker worker;
    std::vector<std::unique_ptr<RemoteWorker>> others;
    net::Address address;
    Event stopped;
    Phase phase = Phase::fresh;
};

Server::Server(detail::BuildApp build, ServeOptions options)
    : state_(std::make_unique<State>(std::move(build), options)) {}

Server::~Server() = default;

Coro<> Server::start() {
    State& state = *state_;
    if (state.phase != State::Phase::fresh) throw RuntimeError("this server was started already: it starts only once");
    state.phase = State::Phase::starting;
    const ServeOptions& options = state.settings->plain;
    std::exception_ptr failure;
    try {
        co_await state.worker.start(state.build, options.port, options.workers > 1);
        state.address = state.worker.address();
        for (std::size_t i = 1; i < options.workers; ++i) {
            state.others.push_back(
                std::make_unique<RemoteWorker>(get_running_loop(), state.settings, state.build, state.address.port()));
            co_await state.others.back()->start();
        }
    } catch (...) {
        failure = std::current_exception();
    }
    state.phase = State::Phase::running;
    if (!failure) co_return;
    MaskOptions mask;
    mask.deadline = wait_after(Duration::zero());
    co_await masked(stop(Duration::zero()), mask);
    std::rethrow_exception(failure);
}

Coro<> Server::stop(Duration grace) {
    State& state = *state_;
    if (state.phase == State::Phase::stopping || state.phase == State::Phase::stopped) {
        co_await state.stopped.wait();
        co_return;
    }
    state.phase = State::Phase::stopping;
    for (auto& each : state.others) each->ask_to_stop(grace);
    std::exception_ptr failure;
    try {
        co_await state.worker.stop(grace);
    } catch (...) {
        failure = std::current_exception();
        for (auto& each : state.others) each->ask_to_stop(Duration::zero());
    }
    MaskOptions mask;
    mask.deadline = wait_after(grace);
    for (auto& each : state.others) co_await masked(each->ended(), mask);
    state.phase = State::Phase::stopped;
    state.stopped.set();
    if (failure) std::rethrow_exception(failure);
}

Coro<> Server::stop() { return stop(state_->settings->plain.grace); }

Coro<> Server::serve() {
    if (state_->phase == State::Phase::fresh) co_await start();
    std::exception_ptr failure;
    try {
        co_await state_->stopped.wait();
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    const Duration grace = state_->settings->plain.grace;
    MaskOptions mask;
    mask.deadline = wait_after(grace);
    co_await masked(stop(grace), mask);
    std::rethrow_exception(failure);
}

const net::Address& Server::address() const noexcept { return state_->address; }

std::string Server::url() const { return (state_->settings->tls ? "https://" : "http://") + state_->address.text(); }

ServerStatistics Server::statistics() const noexcept { return state_->worker.statistics(); }

namespace detail {

Coro<> serve(std::unique_ptr<Server> server) { co_await server->serve(); }

namespace {

struct LooseSession {
    LooseSession(const Router& router, const ServeOptions& options) : settings(options), host(router, settings) {}
    Settings settings;
    SessionHost host;
};

}  // namespace

Coro<> serve_loose(std::shared_ptr<SessionHost> host, net::Stream stream) {
    co_await run_session(SessionTicket(std::move(host)), std::move(stream));
}

}  // namespace detail

Coro<> serve_stream(net::Stream stream, const Router& router, ServeOptions options) {
    auto loose = std::make_shared<detail::LooseSession>(router, options);
    return detail::serve_loose(std::shared_ptr<detail::SessionHost>(loose, &loose->host), std::move(stream));
}

}  // namespace coaio::http
