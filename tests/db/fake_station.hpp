// SPDX-License-Identifier: MIT
#pragma once

#include "link.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/db/error.hpp>
#include <coaio/db/listener.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tests {

class FakeEar;

/// A server that exists only in a test, for those who listen: it can be down, silent, slow, or refuse to be listened to.
struct FakeStation {
    std::vector<FakeEar*> sessions;
    std::size_t attempts = 0;
    std::size_t commands = 0;
    bool down = false;
    bool silent = false;
    bool refuses = false;
    coaio::Duration command_time = std::chrono::milliseconds(2);

    void notify(const std::string& channel, const std::string& payload) const;
    void end_sessions() const;
    [[nodiscard]] std::set<std::string> channels() const;

    [[noreturn]] static void lose() {
        coaio::db::ErrorFields fields;
        fields.message = "the connection was lost";
        fields.connection_good = false;
        throw coaio::db::ConnectionError(std::move(fields));
    }
};

/// A session that understands LISTEN and UNLISTEN.
class FakeEar final : public coaio::db::detail::Link {
public:
    using State = coaio::db::detail::LinkState;

    explicit FakeEar(std::shared_ptr<FakeStation> station) : station_(std::move(station)) {
        station_->sessions.push_back(this);
    }
    ~FakeEar() override { FakeEar::close(); }

    coaio::Coro<coaio::db::Rows> run(const std::string&, const coaio::db::Params&) override {
        throw coaio::db::UsageError("it only listens");
    }
    // It takes effect in the midst of its time.
    coaio::Coro<coaio::db::Rows> command(std::string sql, coaio::db::detail::OnCancel) override {
        ++station_->commands;
        bool refused = false;
        try {
            if (station_->silent) co_await coaio::sleep(std::chrono::hours(1000));
            co_await coaio::sleep(station_->command_time / 2);
            refused = station_->refuses && !sql.empty();
            if (!refused && open_) take_effect(sql);
            co_await coaio::sleep(station_->command_time / 2);
        } catch (const coaio::CancelledError&) {
            close();
            throw;
        }
        if (!open_) FakeStation::lose();
        if (refused) refuse();
        co_return coaio::db::Rows();
    }
    coaio::Coro<> hear() override {
        while (open_ && heard_.empty()) {
            came_.clear();
            co_await came_.wait();
        }
        if (!open_) FakeStation::lose();  // with what was heard
    }
    [[nodiscard]] std::deque<coaio::db::Notification> take_heard() override { return std::exchange(heard_, {}); }

    [[nodiscard]] State state() const noexcept override { return open_ ? State::idle : State::broken; }
    [[nodiscard]] bool alive(coaio::TimePoint /*now*/) noexcept override { return open_; }
    void close() noexcept override {
        open_ = false;
        std::erase(station_->sessions, this);
        came_.set();
    }
    [[nodiscard]] int pid() const noexcept override { return 1; }
    [[nodiscard]] int server_version() const noexcept override { return 150000; }
    [[nodiscard]] std::string parameter(const std::string&) const override { return {}; }

    [[nodiscard]] const std::set<std::string>& channels() const noexcept { return channels_; }
    void tell(const std::string& channel, const std::string& payload) {
        if (channels_.count(channel) == 0) return;
        coaio::db::Notification& made = heard_.emplace_back();
        made.channel = channel;
        made.payload = payload;
        came_.set();
    }

private:
    // listen "a";unlisten "b";
    void take_effect(const std::string& sql) {
        for (std::size_t at = 0; at < sql.size(); at = sql.find(';', at) + 1) {
            const std::size_t name = sql.find('"', at) + 1;
            const std::string channel = sql.substr(name, sql.find('"', name) - name);
            if (sql[at] == 'l') channels_.insert(channel);
            if (sql[at] == 'u') channels_.erase(channel);
        }
    }
    [[noreturn]] static void refuse() {
        coaio::db::ErrorFields fields;
        fields.message = "cannot execute LISTEN during recovery";
        fields.sqlstate = "25006";
        throw coaio::db::Error(std::move(fields));
    }

    std::shared_ptr<FakeStation> station_;
    std::set<std::string> channels_;
    std::deque<coaio::db::Notification> heard_;
    coaio::Event came_;
    bool open_ = true;
};

inline void FakeStation::notify(const std::string& channel, const std::string& payload) const {
    for (FakeEar* each : sessions) each->tell(channel, payload);
}

inline void FakeStation::end_sessions() const {
    const std::vector<FakeEar*> all = sessions;
    for (FakeEar* each : all) each->close();
}

inline std::set<std::string> FakeStation::channels() const {
    std::set<std::string> all;
    for (const FakeEar* each : sessions) all.insert(each->channels().begin(), each->channels().end());
    return all;
}

class StationConnector final : public coaio::db::detail::Connector {
public:
    explicit StationConnector(std::shared_ptr<FakeStation> station) : station_(std::move(station)) {}

    coaio::Coro<std::unique_ptr<coaio::db::detail::Link>> connect() override { return open(station_); }
    [[nodiscard]] std::string target() const override { return "a station"; }

private:
    static coaio::Coro<std::unique_ptr<coaio::db::detail::Link>> open(std::shared_ptr<FakeStation> station) {
        ++station->attempts;
        co_await coaio::sleep(station->silent ? std::chrono::seconds(10) : std::chrono::milliseconds(3));
        if (station->down || station->silent) FakeStation::lose();
        co_return std::make_unique<FakeEar>(station);
    }

    std::shared_ptr<FakeStation> station_;
};

}  // namespace tests
