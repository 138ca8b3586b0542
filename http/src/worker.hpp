// SPDX-License-Identifier: MIT
#pragma once

#include "session.hpp"
#include "settings.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/task.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/listen.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace coaio::http::detail {

/// A server on one loop: the app built there, a listener, and its sessions.
class Worker {
public:
    explicit Worker(std::shared_ptr<const Settings> settings) : state_(std::make_shared<State>(std::move(settings))) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { abandon(); }

    /// Builds the app, listens, accepts from now on.
    [[nodiscard]] Coro<> start(BuildApp build, std::uint16_t port, bool share_port);
    /// As `Server::stop`.
    [[nodiscard]] Coro<> stop(Duration grace);
    /// Cancels all that goes on here, and waits for nothing.
    void abandon() noexcept;

    [[nodiscard]] const net::Address& address() const noexcept { return state_->listener.address(); }
    [[nodiscard]] ServerStatistics statistics() const noexcept;

private:
    /// What its tasks keep alive.
    struct State {
        explicit State(std::shared_ptr<const Settings> given) noexcept : settings(std::move(given)) {}
        std::shared_ptr<const Settings> settings;
        BuildApp build;  // the closure outlives what it made
        Scope scope;
        std::optional<Router> router;
        std::optional<SessionHost> host;
        net::Listener listener;
    };

    [[nodiscard]] static Coro<> accept_all(std::shared_ptr<State> state);
    [[nodiscard]] static Coro<> wait_until_empty(std::shared_ptr<State> state);

    std::shared_ptr<State> state_;
    std::optional<Task<>> accepting_;
};

}  // namespace coaio::http::detail
