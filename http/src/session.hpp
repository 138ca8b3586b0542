// SPDX-License-Identifier: MIT
#pragma once

#include "connection.hpp"
#include "date_text.hpp"
#include "encode.hpp"
#include "settings.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/task.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>
#include <coaio/http/router.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace coaio::http::detail {

class Session;

/// What the sessions of one loop have in common: the app, the settings, and who they are.
class SessionHost {
public:
    SessionHost(const Router& router, const Settings& settings) noexcept : router_(&router), settings_(&settings) {}
    SessionHost(const SessionHost&) = delete;
    SessionHost& operator=(const SessionHost&) = delete;

    [[nodiscard]] const Router& router() const noexcept { return *router_; }
    [[nodiscard]] const Settings& settings() const noexcept { return *settings_; }
    /// The line of the Date header.
    [[nodiscard]] std::string_view date_line();
    [[nodiscard]] bool stopping() const noexcept { return stopping_; }
    [[nodiscard]] ServerStatistics& statistics() noexcept { return statistics_; }
    /// Sessions, and those about to begin.
    [[nodiscard]] std::size_t size() const noexcept { return statistics_.connections; }

    /// Idle sessions end now, the others after the request that they are at.
    void stop() noexcept;
    void cancel_all() noexcept;
    /// Whenever one ends.
    [[nodiscard]] Event& left() noexcept { return left_; }

private:
    friend class Session;
    friend class SessionTicket;
    void enter(Session& session) noexcept;
    void leave(Session& session) noexcept;

    const Router* router_;
    const Settings* settings_;
    DateText date_;
    Session* first_ = nullptr;
    ServerStatistics statistics_;
    Event left_;
    bool stopping_ = false;
};

/// Counts as a session from before its task begins to after it has ended, and keeps what it needs.
class SessionTicket {
public:
    explicit SessionTicket(std::shared_ptr<SessionHost> host) noexcept : host_(std::move(host)) {
        ++host_->statistics_.connections;
    }
    SessionTicket(SessionTicket&&) noexcept = default;
    SessionTicket& operator=(SessionTicket&&) = delete;
    ~SessionTicket() {
        if (host_ == nullptr) return;
        --host_->statistics_.connections;
        host_->left_.set();
    }
    [[nodiscard]] SessionHost& host() const noexcept { return *host_; }

private:
    std::shared_ptr<SessionHost> host_;
};

/// A server's connection, in the task that was made for it: handshake, requests one after another, the end.
class Session final : private WatchListener {
public:
    explicit Session(SessionHost& host);
    ~Session();

    [[nodiscard]] Coro<> run(net::Stream stream);

private:
    friend class SessionHost;

    void stop() noexcept;
    void on_bytes() noexcept override {}
    void on_end() noexcept override {}
    void on_failure() noexcept override;

    [[nodiscard]] Coro<net::Stream> handshake(net::Stream stream);
    [[nodiscard]] Coro<> serve();
    [[nodiscard]] Coro<> answer();
    [[nodiscard]] Response answer_to(const std::exception_ptr& failure);
    void report(const std::exception_ptr& failure);
    void settle() noexcept;
    /// Puts the answer with what is to be sent next; true: all but its body, which is too long to copy.
    [[nodiscard]] bool put_plain(const Response& response);
    [[nodiscard]] Coro<> send_stream(Response response);
    /// Reads what is left of the request's body; where that is too much, the connection is not kept.
    [[nodiscard]] Coro<> drop_body();
    [[nodiscard]] bool body_can_be_dropped();
    void refuse(int status, std::string_view what);
    void write_head(std::string& out, const Response& response, const ResponsePlan& plan,
                    const ResponsePlanInput& input);
    [[nodiscard]] ResponsePlanInput plan_input(const Response& response);

    SessionHost& host_;
    AnyTask task_;
    std::shared_ptr<Connection> connection_;
    Request request_;
    net::Address peer_;
    Session* next_ = nullptr;
    Session* previous_ = nullptr;
    bool secure_ = false;
    bool idle_ = false;
    bool running_ = false;
    bool gone_ = false;
    bool keep_alive_ = true;
    bool cut_ = false;
};

/// Serves a connection until it ends.
[[nodiscard]] Coro<> run_session(SessionTicket ticket, net::Stream stream);

}  // namespace coaio::http::detail
