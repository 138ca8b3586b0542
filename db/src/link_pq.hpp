// SPDX-License-Identifier: MIT
#pragma once

#include "libpq.hpp"
#include "link.hpp"
#include "statements.hpp"

#include <coaio/db/listener.hpp>
#include <coaio/db/options.hpp>

#include <deque>
#include <exception>
#include <memory>
#include <string>

namespace coaio::db::detail {

/// A link over libpq. Its socket is registered with the loop for each wait alone, by level (LPQ-01, LPQ-02).
class PqLink final : public Link {
public:
    /// `session` is connected.
    PqLink(std::unique_ptr<pq::Session> session, const ConnectValues& options);

    Coro<Rows> run(const std::string& sql, const Params& params) override;
    Coro<Rows> command(std::string sql, OnCancel on_cancel) override;
    [[nodiscard]] LinkState state() const noexcept override;
    [[nodiscard]] bool alive() noexcept override;
    void close() noexcept override;
    [[nodiscard]] int pid() const noexcept override { return pid_; }
    [[nodiscard]] int server_version() const noexcept override { return version_; }
    [[nodiscard]] std::string parameter(const std::string& name) const override;

    /// For a session that listens: from now on notifications are kept until they are asked for.
    void keep_notifications() noexcept { keeps_notifications_ = true; }
    [[nodiscard]] Coro<Notification> next_notification();

private:
    class Use;

    [[nodiscard]] Coro<Rows> execute(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<> prepare(const std::string& key, const std::string& name, const std::string& sql,
                                 const Params& params);
    [[nodiscard]] Coro<Rows> answer(const std::string& sql);
    [[nodiscard]] Coro<> flush();
    [[nodiscard]] Coro<> await_result();
    [[nodiscard]] Coro<> recover(OnCancel on_cancel);
    [[nodiscard]] Coro<> quieten(OnCancel on_cancel);
    [[nodiscard]] Coro<> drain();

    [[nodiscard]] bool forget_stale(const std::string& sql, const Params& params, const std::exception_ptr& failure);
    [[nodiscard]] std::exception_ptr judge(std::exception_ptr failure, const std::string& sql) const;
    void start() noexcept { in_flight_ = sent_ = true; }
    void end() noexcept;
    [[nodiscard]] bool only_reads() const;
    void consume();
    void look();
    void collect_notifications();

    std::unique_ptr<pq::Session> session_;
    Statements statements_;
    Duration cancel_timeout_;
    bool cancel_by_closing_;
    bool in_use_ = false;
    bool in_flight_ = false;       // sent, and not answered to the end
    bool sent_ = false;            // of the statement in hand
    bool decisive_ = false;        // the statement in hand ends a transaction, one way or the other
    bool in_transaction_ = false;  // when the statement in hand began
    bool only_reads_ = false;      // what ran last, by the session's settings
    bool told_to_go_ = false;      // the server announced the session's end
    bool keeps_notifications_ = false;
    std::deque<Notification> heard_;
    int syncs_ = 0;  // of a pipeline, not answered yet
    int pid_;
    int version_;
};

}  // namespace coaio::db::detail
