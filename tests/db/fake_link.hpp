// SPDX-License-Identifier: MIT
#pragma once

#include "lane_link.hpp"
#include "link.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/db/error.hpp>

#include "db/fake_rows.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
    std::size_t mixed_up = 0;            ///< a session was used by two at once, or handed out in a transaction
    std::size_t laned = 0;               ///< of the statements: which came in a pipeline
    std::size_t most_laned_bytes = 0;    ///< in one pipeline at a time
    std::size_t cancels = 0;             ///< of what was under way in a pipeline
    std::size_t lose = 0;                ///< so many answers of pipelines are lost with their sessions
    std::size_t undo = 0;                ///< so many times one fails of several under one Sync, the first of them
    std::map<std::string, int> rows;     ///< that are committed, and how often
    std::map<std::string, bool> tokens;  ///< of commits; true: taken by a look-up, so that they cannot be committed
    std::map<coaio::TimePoint, std::size_t> begun;  ///< attempts, by when they began
    bool second_best = false;                       ///< and so are its sessions
    bool down = false;
    bool silent = false;
    bool stillborn = false;                ///< sessions end as soon as they are open
    std::function<void()> when_looked_at;  ///< called where a session is looked at: a handler of its notices
    /// Asked at each statement: it is the connection's last; it has no effect, it has one, or it has one later.
    enum class Loss : unsigned char { none, before, after, late };
    std::function<Loss()> loses = [] { return Loss::none; };

    /// False where a look-up has taken the token.
    bool commit(const std::string& token, const std::vector<std::string>& written) {
        if (!token.empty() && !tokens.emplace(token, false).second) return false;
        ++commits;
        for (const std::string& row : written) ++rows[row];
        return true;
    }
    /// Takes the token, unless it is that of a commit; whether it was taken.
    bool fence(const std::string& token) { return tokens.emplace(token, true).first->second; }
    bool has_tokens = false;
    std::string refusal = "57P03";
    coaio::Duration connect_time = std::chrono::milliseconds(5);
    coaio::Duration statement_time = std::chrono::milliseconds(1);
    coaio::Duration slow_time = std::chrono::hours(1);  ///< of "select slow"
};

/// A statement with parameters is answered with the first of them.
class FakeLink final : public coaio::db::detail::Link, public coaio::db::detail::LaneLink {
public:
    using State = coaio::db::detail::LinkState;
    using OnCancel = coaio::db::detail::OnCancel;
    using Loss = FakeServer::Loss;

    explicit FakeLink(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {
        ++server_->sessions;
        server_->most_sessions = std::max(server_->most_sessions, server_->sessions);
    }
    ~FakeLink() override { FakeLink::close(); }

    coaio::Coro<coaio::db::Rows> run(const std::string& sql, const coaio::db::Params& params) override {
        ++server_->statements;
        if (!params.empty()) return echo(step(sql, OnCancel::stop), params);
        return step(sql, OnCancel::stop);
    }
    coaio::Coro<coaio::db::Rows> command(std::string sql, OnCancel on_cancel) override {
        if (sql.empty()) ++server_->pings;
        return step(std::move(sql), on_cancel);
    }
    [[nodiscard]] State state() const noexcept override {
        if (!open_) return State::broken;
        if (busy_) return State::busy;
        if (in_transaction_) return State::in_transaction;
        return State::idle;
    }
    [[nodiscard]] bool alive(coaio::TimePoint /*now*/) noexcept override {
        if (in_transaction_ || busy_) ++server_->mixed_up;
        if (server_->when_looked_at) server_->when_looked_at();
        return open_ && !std::exchange(gone_, gone_ || goes_);
    }
    void close() noexcept override {
        if (std::exchange(open_, false)) --server_->sessions;
    }
    [[nodiscard]] int pid() const noexcept override { return 1; }
    [[nodiscard]] int server_version() const noexcept override { return 150000; }
    [[nodiscard]] std::string parameter(const std::string&) const override { return {}; }

    [[nodiscard]] bool misplaced() const noexcept override { return misplaced_; }
    [[nodiscard]] bool second_choice() const noexcept override { return second_choice_; }

    /// The server has become another kind of server.
    void change() noexcept { misplaced_ = true; }
    /// The server ended the session while nobody looked.
    void vanish() noexcept { gone_ = true; }
    /// The same, when it has been looked at once more.
    void vanish_when_idle() noexcept { goes_ = true; }

    [[nodiscard]] LaneLink* lane() noexcept override { return this; }
    void enter_lane(bool shares_sync) override {
        if (busy_ || in_transaction_) ++server_->mixed_up;
        shares_sync_ = shares_sync;
        busy_ = laned_ = true;
    }
    void lane_send(const std::string& sql, const coaio::db::Params& params) override {
        if (!laned_) ++server_->mixed_up;
        if (!open_ || gone_) lose(coaio::db::Outcome::not_sent);
        ++server_->statements;
        ++server_->laned;
        sent_.push_back({sql, params, sql.size()});
        for (std::size_t i = 0; i < params.size(); ++i) sent_.back().bytes += params.slot(i).length;
        std::size_t bytes = 0;
        for (const Sent& each : sent_) bytes += each.bytes;
        server_->most_laned_bytes = std::max(server_->most_laned_bytes, bytes);
    }
    [[nodiscard]] std::optional<Answer> lane_take() override {
        if (answered_ == 0) return std::nullopt;
        --answered_;
        Answer answer;
        answer.undone = undone_;
        answer.further = answered_;
        if (!undone_) answer.rows = echo(sent_.front().params);
        if (std::exchange(fails_, false)) answer.failure.emplace();
        sent_.pop_front();
        return answer;
    }
    coaio::Coro<> lane_wait() override {
        const std::size_t together = shares_sync_ ? sent_.size() : 1;
        coaio::Duration time{};
        for (std::size_t i = 0; i < together; ++i) time += time_of(sent_[i].sql);
        together_ = together;
        co_await coaio::sleep(time);
        together_ = 0;
        if (server_->lose > 0) {
            --server_->lose;
            close();
        }
        if (!open_) lose(coaio::db::Outcome::unknown);
        answered_ = together;
        undone_ = fails_ = together > 1 && server_->undo > 0;
        if (undone_) --server_->undo;
    }
    coaio::Coro<> leave_lane() override {
        if (!sent_.empty()) ++server_->mixed_up;
        busy_ = laned_ = false;
        co_return;
    }
    coaio::Coro<std::exception_ptr> end_lane(std::exception_ptr failure) override {
        laned_ = undone_ = fails_ = false;
        answered_ = together_ = 0;
        if (open_ && !sent_.empty()) ++server_->cancels;
        sent_.clear();
        co_await coaio::sleep(server_->statement_time);
        busy_ = false;
        co_return failure;
    }
    [[nodiscard]] bool lane_shares_next() const noexcept override { return together_ > 1; }
    [[nodiscard]] bool lane_stale(const std::string&, const coaio::db::Params&, const std::exception_ptr&) override {
        return false;
    }

private:
    struct Sent {
        std::string sql;
        coaio::db::Params params;
        std::size_t bytes;
    };
    static coaio::db::Rows echo(const coaio::db::Params& params) {
        if (params.empty()) return {};
        const auto& slot = params.slot(0);
        return fake_rows({{"echo", slot.type, slot.format}}, {{std::string(params.bytes(0))}});
    }
    static coaio::Coro<coaio::db::Rows> echo(coaio::Coro<coaio::db::Rows> step, const coaio::db::Params& params) {
        static_cast<void>(co_await std::move(step));
        co_return echo(params);
    }
    [[nodiscard]] coaio::Duration time_of(const std::string& sql) const {
        return begins(sql, "select slow") ? server_->slow_time : server_->statement_time;
    }

    coaio::Coro<coaio::db::Rows> step(std::string sql, OnCancel on_cancel) {
        if (busy_) ++server_->mixed_up;
        if (!open_) lose(coaio::db::Outcome::not_sent);
        busy_ = true;
        std::exception_ptr failure;
        try {
            if (server_->silent) co_await coaio::sleep(std::chrono::hours(1000));
            co_await coaio::sleep(time_of(sql));
        } catch (...) {
            failure = std::current_exception();
        }
        busy_ = false;
        if (failure) {
            if (on_cancel == OnCancel::close) take_effect_later(sql);
            if (server_->silent || on_cancel == OnCancel::close) close();
            if (on_cancel == OnCancel::wait && open_) (void)take_effect(sql);
            std::rethrow_exception(failure);
        }
        const Loss loss = open_ ? server_->loses() : Loss::before;
        coaio::db::Rows answer;
        if (loss == Loss::late) take_effect_later(sql);
        if (loss == Loss::none || loss == Loss::after) answer = take_effect(sql);
        if (loss != Loss::none) {
            close();
            lose(on_cancel == OnCancel::close ? coaio::db::Outcome::unknown : coaio::db::Outcome::rolled_back);
        }
        co_return answer;
    }

    [[noreturn]] static void lose(coaio::db::Outcome outcome) {
        coaio::db::ErrorFields fields;
        fields.message = "the connection was lost";
        fields.outcome = outcome;
        fields.connection_good = false;
        throw coaio::db::ConnectionError(std::move(fields));
    }

    static bool begins(const std::string& sql, std::string_view with) { return sql.compare(0, with.size(), with) == 0; }

    coaio::db::Rows take_effect(const std::string& sql) {
        if (begins(sql, "insert into coaio_commit")) {
            const bool taken = server_->fence(token_in(sql));
            return fake_rows({{"?", coaio::db::Oid::boolean}}, {{taken ? "t" : "f"}});
        }
        if (begins(sql, "begin")) in_transaction_ = true;
        if (begins(sql, "row ")) written_.push_back(sql);
        if (commits(sql)) return commit(sql);
        if (sql == "rollback") {
            ++server_->rollbacks;
            in_transaction_ = false;
            written_.clear();
        }
        return {};
    }

    // The server has read it, and comes to it when nobody waits any more.
    void take_effect_later(const std::string& sql) {
        if (!commits(sql)) return;
        const auto call = [server = server_, token = token_in(sql), written = std::exchange(written_, {})] {
            (void)server->commit(token, written);
        };
        coaio::get_running_loop().call_later(std::chrono::milliseconds(8), call);
    }

    static bool commits(const std::string& sql) { return sql == "commit" || begins(sql, "do $coaio$"); }

    coaio::db::Rows commit(const std::string& sql) {
        in_transaction_ = false;
        if (!server_->commit(token_in(sql), std::exchange(written_, {}))) {
            coaio::db::ErrorFields fields;
            fields.message = "the token is there";
            fields.sqlstate = "23505";
            fields.outcome = coaio::db::Outcome::rolled_back;
            throw coaio::db::Error(std::move(fields));
        }
        return fake_rows({}, {}, "COMMIT");
    }

    static std::string token_in(const std::string& sql) {
        static constexpr std::string_view before = "values (e'";
        const std::size_t at = sql.find(before);
        if (at == std::string::npos) return {};
        const std::size_t begin = at + before.size();
        return sql.substr(begin, sql.find('\'', begin) - begin);
    }

    std::shared_ptr<FakeServer> server_;
    bool open_ = true;
    bool busy_ = false;
    bool laned_ = false;
    bool shares_sync_ = false;
    std::size_t answered_ = 0;  // what was sent first
    std::size_t together_ = 0;  // under the Sync that is awaited
    bool undone_ = false;       // and had no effect
    bool fails_ = false;
    std::deque<Sent> sent_;
    bool gone_ = false;
    bool goes_ = false;
    bool in_transaction_ = false;
    std::vector<std::string> written_;
    bool misplaced_ = false;
    bool second_choice_ = server_->second_best;
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
            ++server->begun[coaio::Clock::now()];
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
        auto link = std::make_unique<FakeLink>(server);
        if (server->stillborn) link->vanish();
        link->commit_table().looked = coaio::Clock::now();
        if (server->has_tokens) link->commit_table().name = "coaio_commit";
        co_return std::move(link);
    }

    std::shared_ptr<FakeServer> server_;
};

}  // namespace tests
