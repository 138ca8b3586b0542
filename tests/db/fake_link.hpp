// SPDX-License-Identifier: MIT
#pragma once

#include "link.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/db/error.hpp>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace tests {

/// A server that exists only in a test: it counts its sessions and can be down, slow or silent.
struct FakeServer {
    std::size_t sessions = 0;
    std::size_t most_sessions = 0;
    std::size_t attempts = 0;
    std::size_t attempts_now = 0;
    std::size_t most_attempts_now = 0;
    std::size_t statements = 0;
    std::size_t commits = 0;
    std::size_t rollbacks = 0;
    std::size_t pings = 0;
    std::size_t mixed_up = 0;  ///< a session was used by two at once, or handed out in a transaction
    bool down = false;
    bool silent = false;
    std::string refusal = "57P03";
    coaio::Duration connect_time = std::chrono::milliseconds(5);
    coaio::Duration statement_time = std::chrono::milliseconds(1);
};

class FakeLink final : public coaio::db::detail::Link {
public:
    using State = coaio::db::detail::LinkState;

    explicit FakeLink(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {
        ++server_->sessions;
        server_->most_sessions = std::max(server_->most_sessions, server_->sessions);
    }
    ~FakeLink() override { FakeLink::close(); }

    coaio::Coro<coaio::db::Rows> run(const std::string& sql, const coaio::db::Params&) override {
        ++server_->statements;
        return step(sql);
    }
    coaio::Coro<coaio::db::Rows> command(std::string sql, coaio::db::detail::OnCancel) override {
        if (sql.empty()) ++server_->pings;
        return step(std::move(sql));
    }
    [[nodiscard]] State state() const noexcept override {
        if (!open_) return State::broken;
        if (busy_) return State::busy;
        if (in_transaction_) return State::in_transaction;
        return State::idle;
    }
    [[nodiscard]] bool alive() noexcept override {
        if (in_transaction_ || busy_) ++server_->mixed_up;
        return open_ && !gone_;
    }
    void close() noexcept override {
        if (std::exchange(open_, false)) --server_->sessions;
    }
    [[nodiscard]] int pid() const noexcept override { return 1; }
    [[nodiscard]] int server_version() const noexcept override { return 150000; }
    [[nodiscard]] std::string parameter(const std::string&) const override { return {}; }

    /// The server ended the session while nobody looked.
    void vanish() noexcept { gone_ = true; }

private:
    coaio::Coro<coaio::db::Rows> step(std::string sql) {
        if (busy_) ++server_->mixed_up;
        busy_ = true;
        std::exception_ptr failure;
        try {
            if (server_->silent) co_await coaio::sleep(std::chrono::hours(1000));
            co_await coaio::sleep(server_->statement_time);
        } catch (...) {
            failure = std::current_exception();
        }
        busy_ = false;
        if (failure) {
            if (server_->silent) close();
            std::rethrow_exception(failure);
        }
        if (sql.compare(0, 5, "begin") == 0) in_transaction_ = true;
        if (sql == "commit") ++server_->commits;
        if (sql == "rollback") ++server_->rollbacks;
        if (sql == "commit" || sql == "rollback") in_transaction_ = false;
        co_return coaio::db::Rows();
    }

    std::shared_ptr<FakeServer> server_;
    bool open_ = true;
    bool busy_ = false;
    bool gone_ = false;
    bool in_transaction_ = false;
};

class FakeConnector final : public coaio::db::detail::Connector {
public:
    explicit FakeConnector(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {}

    coaio::Coro<std::unique_ptr<coaio::db::detail::Link>> connect() override { return open(server_); }
    [[nodiscard]] std::string target() const override { return "fake"; }

private:
    struct Attempt {
        explicit Attempt(FakeServer& on) : server(&on) {
            ++server->attempts;
            ++server->attempts_now;
            server->most_attempts_now = std::max(server->most_attempts_now, server->attempts_now);
        }
        Attempt(const Attempt&) = delete;
        Attempt& operator=(const Attempt&) = delete;
        ~Attempt() { --server->attempts_now; }
        FakeServer* server;
    };
    static coaio::Coro<std::unique_ptr<coaio::db::detail::Link>> open(std::shared_ptr<FakeServer> server) {
        const Attempt attempt(*server);
        co_await coaio::sleep(server->connect_time);
        if (server->down) {
            coaio::db::ErrorFields fields;
            fields.message = "it is down";
            fields.sqlstate = server->refusal;
            throw coaio::db::ConnectionError(std::move(fields));
        }
        co_return std::make_unique<FakeLink>(server);
    }

    std::shared_ptr<FakeServer> server_;
};

}  // namespace tests
