// SPDX-License-Identifier: MIT
#include "connect.hpp"

#include "link_pq.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace coaio::db::detail {

using namespace std::chrono_literals;

/// What has been tried so far.
struct PqConnector::Progress {
    std::vector<ConnectAttempt> attempts;
    ErrorFields last;
    bool final = false;  // the server has answered, and will answer the same again
    bool starting = false;

    void failed(const std::string& where, ErrorFields fields) {
        attempts.emplace_back(where, fields.message);
        starting = starting || fields.sqlstate == sqlstate::cannot_connect_now;
        const std::string& state = fields.sqlstate;
        final = state.compare(0, 2, "28") == 0 || state == sqlstate::undefined_database;
        last = std::move(fields);
    }
};

namespace {

std::string place(const Host& host, const std::string& address) {
    if (host.is_socket()) return host.name.empty() ? "the default socket" : host.name;
    if (host.name.empty() || host.name == address) return address + ":" + host.port;
    return host.name + " (" + address + "):" + host.port;
}

ErrorFields no_answer(Duration waited) {
    ErrorFields fields;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(waited).count();
    fields.message = "no answer within " + std::to_string(ms) + " ms";
    fields.connection_good = false;
    return fields;
}

// A part of the time that is left for each of those that have not been tried.
TimePoint share(TimePoint deadline, std::size_t left) {
    const TimePoint now = Clock::now();
    if (left <= 1 || deadline <= now) return deadline;
    return now + (deadline - now) / static_cast<Duration::rep>(left);
}

bool from_environment(const char* variable) { return std::getenv(variable) != nullptr; }

}  // namespace

PqConnector::PqConnector(std::string_view url, ConnectValues options)
    : conninfo_(Conninfo::parse(url)), options_(std::move(options)), limit_(options_.connect_timeout) {
    conninfo_.set("client_encoding", "UTF8");
    if (!conninfo_.given("gssencmode") && !from_environment("PGGSSENCMODE")) conninfo_.set("gssencmode", "disable");
    conninfo_.set_default("fallback_application_name", "coaio");
    // A peer that vanished is noticed within half a minute, also where no statement has a deadline.
    conninfo_.set_default("keepalives_idle", "10");
    conninfo_.set_default("keepalives_interval", "5");
    conninfo_.set_default("keepalives_count", "3");
    conninfo_.set_default("tcp_user_timeout", "30000");
    const std::string own = conninfo_.get("connect_timeout");
    const int seconds = std::atoi(own.c_str());
    if (seconds > 0) limit_ = std::min<Duration>(limit_, std::chrono::seconds(seconds));
}

Coro<std::unique_ptr<Link>> PqConnector::connect() {
    const TimePoint deadline = deadline_in(limit_);
    co_return co_await connect_within(deadline);
}

Coro<std::unique_ptr<Link>> PqConnector::connect_within(TimePoint deadline) {
    Progress progress;
    Duration pause = 50ms;
    std::unique_ptr<pq::Session> session;
    for (;;) {
        progress.starting = false;
        session = co_await try_all(deadline, progress);
        if (session) break;
        const bool again = progress.starting && !progress.final && Clock::now() + pause < deadline;
        if (!again) give_up(progress);
        co_await sleep(pause);
        pause = std::min<Duration>(pause * 2, 1s);
    }
    auto link = std::make_unique<PqLink>(std::move(session), options_, cancels_);
    if (!options_.settings.empty()) {
        Timeout limit(deadline);
        try {
            co_await apply_settings(*link);
            limit.leave();
        } catch (...) {
            limit.leave_by_exception();
            throw;
        }
    }
    co_return std::move(link);
}

Coro<std::unique_ptr<pq::Session>> PqConnector::try_all(TimePoint deadline, Progress& progress) {
    const std::vector<Host> hosts = conninfo_.hosts();
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        auto session = co_await try_host(hosts[i], share(deadline, hosts.size() - i), progress);
        if (session || progress.final) co_return std::move(session);
    }
    co_return nullptr;
}

Coro<std::unique_ptr<pq::Session>> PqConnector::try_host(const Host& host, TimePoint deadline, Progress& progress) {
    std::vector<std::string> addresses;
    if (host.is_socket()) {
        addresses.emplace_back();
    } else if (!host.address.empty()) {
        addresses.push_back(host.address);
    } else {
        const TimePoint began = Clock::now();
        Timeout limit(deadline);
        std::string problem;
        try {
            auto found = co_await get_running_loop().getaddrinfo(host.name, host.port);
            limit.leave();
            for (auto& each : found) addresses.push_back(std::move(each.address));
            if (addresses.empty()) problem = "the name has no address";
        } catch (const IoError& error) {
            limit.leave();
            problem = error.code().message();
        } catch (...) {
            try {
                limit.leave_by_exception();
            } catch (const TimeoutError&) {
                problem = "the name was not resolved; " + no_answer(Clock::now() - began).message;
            }
            if (problem.empty()) throw;
        }
        if (!problem.empty()) {
            ErrorFields fields;
            fields.message = problem;
            progress.failed(host.name + ":" + host.port, std::move(fields));
        }
    }
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        auto session = co_await try_address(host, addresses[i], share(deadline, addresses.size() - i), progress);
        if (session || progress.final) co_return std::move(session);
    }
    co_return nullptr;
}

Coro<std::unique_ptr<pq::Session>> PqConnector::try_address(const Host& host, std::string address, TimePoint deadline,
                                                            Progress& progress) {
    const TimePoint began = Clock::now();
    ErrorFields problem;
    Timeout limit(deadline);
    try {
        auto session = co_await handshake(host, address);
        limit.leave();
        co_return std::move(session);
    } catch (const ConnectionError& error) {
        limit.leave();
        problem = error.fields();
    } catch (const IoError& error) {
        limit.leave();
        problem.message = error.what();
    } catch (...) {
        bool timed_out = false;
        try {
            limit.leave_by_exception();
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        if (!timed_out) throw;
        problem = no_answer(Clock::now() - began);
    }
    progress.failed(place(host, address), std::move(problem));
    co_return nullptr;
}

Coro<std::unique_ptr<pq::Session>> PqConnector::handshake(const Host& host, const std::string& address) const {
    auto values = conninfo_.given();
    values.erase("hostaddr");
    values.erase("connect_timeout");
    values["port"] = host.port;
    if (host.name.empty()) {
        values.erase("host");
    } else {
        values["host"] = host.name;
    }
    if (!address.empty()) values["hostaddr"] = address;

    auto session = std::make_unique<pq::Session>(values);
    pq::Progress wanted = pq::Progress::wants_write;
    while (wanted != pq::Progress::done) {
        const int fd = session->socket();
        if (fd < 0) throw ConnectionError(session->connect_error());
        const bool write = wanted == pq::Progress::wants_write;
        co_await io::wait_ready(fd, {.readable = !write, .writable = write});
        wanted = session->poll_connect();
        if (wanted == pq::Progress::failed) throw ConnectionError(session->connect_error());
    }
    co_return std::move(session);
}

Coro<> PqConnector::apply_settings(Link& link) const {
    std::string sql;
    Params params;
    for (const auto& [name, value] : options_.settings) {
        sql += sql.empty() ? "select " : ", ";
        sql +=
            "set_config($" + std::to_string(params.size() + 1) + ", $" + std::to_string(params.size() + 2) + ", false)";
        params.add(name);
        params.add(value);
    }
    co_await link.run(sql, params);
}

void PqConnector::give_up(Progress& progress) const {
    ErrorFields fields = std::move(progress.last);
    fields.outcome = Outcome::not_sent;
    fields.connection_good = false;
    std::string text = "cannot connect to " + target();
    for (const ConnectAttempt& each : progress.attempts) text += "; " + each.address + ": " + each.reason;
    fields.message = std::move(text);
    throw ConnectionError(std::move(fields), std::move(progress.attempts));
}

}  // namespace coaio::db::detail
