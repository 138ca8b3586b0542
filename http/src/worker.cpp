// SPDX-License-Identifier: MIT
#include "worker.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

namespace coaio::http::detail {

namespace {

constexpr Duration accept_pause = std::chrono::milliseconds(100);  // when descriptors have run out
// A handler that masks itself for ever does not hold up the program's end for ever.
constexpr Duration last_wait = std::chrono::minutes(5);

}  // namespace

Settings::Settings(const ServeOptions& options) : host(options.host), server(options.server), plain(options) {
    if (options.tls != nullptr) tls = *options.tls;
    limits.head_bytes = options.max_head;
    limits.target_bytes = options.max_target;
    limits.header_count = options.max_headers;
    limits.body_bytes = options.max_body;
    times.idle = options.idle_timeout;
    times.head = options.head_timeout;
    times.body = options.body_timeout;
    times.write = options.write_timeout;
    plain.host = {};
    plain.server = {};
    plain.tls = nullptr;
    if (plain.workers == 0) plain.workers = std::max(1U, std::thread::hardware_concurrency());
}

Coro<> Worker::start(BuildApp build, std::uint16_t port, bool share_port) {
    const auto state = state_;
    state->build = std::move(build);
    state->router.emplace(co_await state->build(state->scope));
    state->host.emplace(*state->router, *state->settings);
    net::ListenOptions options;
    options.backlog = state->settings->plain.backlog;
    options.reuse_port = share_port;
    state->listener = co_await net::listen(state->settings->host, port, options);
    accepting_.emplace(create_task(accept_all(state), {.name = "http accept", .eager_start = false}));
}

Coro<> Worker::accept_all(std::shared_ptr<State> state) {
    const std::size_t most = state->settings->plain.max_connections;
    const std::shared_ptr<SessionHost> host(state, &*state->host);
    for (;;) {
        while (most != 0 && host->size() >= most) {
            host->left().clear();
            co_await host->left().wait();
        }
        net::Stream stream;
        std::exception_ptr failure;
        try {
            stream = co_await state->listener.accept();
        } catch (const IoError&) {
            failure = std::current_exception();
        }
        if (failure) {
            ExceptionContext context;
            context.message = "the server cannot accept a connection, and tries again";
            context.exception = failure;
            get_running_loop().call_exception_handler(context);
            co_await sleep(accept_pause);
            continue;
        }
        static_cast<void>(
            create_task(run_session(SessionTicket(host), std::move(stream)), {.name = "http", .eager_start = false}));
    }
}

Coro<> Worker::wait_until_empty(std::shared_ptr<State> state) {
    while (state->host->size() > 0) {
        state->host->left().clear();
        co_await state->host->left().wait();
    }
}

Coro<> Worker::stop(Duration grace) {
    const auto state = state_;
    state->listener.close();
    if (accepting_) accepting_->cancel();
    if (!state->host) co_return;
    state->host->stop();
    std::exception_ptr cancelled;
    try {
        co_await wait_for(wait_until_empty(state), std::max(grace, Duration(1)));
    } catch (const TimeoutError&) {  // NOLINT: their time is over
    } catch (const CancelledError&) {
        cancelled = std::current_exception();
    }
    state->host->cancel_all();
    MaskOptions mask;
    mask.deadline = last_wait;
    co_await masked(wait_until_empty(state), mask);
    if (cancelled) std::rethrow_exception(cancelled);
}

void Worker::abandon() noexcept {
    if (accepting_) accepting_->cancel();
    if (state_->host) {
        state_->host->stop();
        state_->host->cancel_all();
    }
}

ServerStatistics Worker::statistics() const noexcept {
    return state_->host ? state_->host->statistics() : ServerStatistics();
}

}  // namespace coaio::http::detail
