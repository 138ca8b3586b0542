// SPDX-License-Identifier: MIT
#include "connect.hpp"

#include "link_pq.hpp"
#include "quote.hpp"
#include "watch.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

namespace coaio::db::detail {

using namespace std::chrono_literals;

namespace {

constexpr const char* look_for_client = "set client_connection_check_interval = '1s'";

// The server takes them in capitals, too.
bool is_setting(std::string_view name, std::string_view wanted) {
    const auto alike = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
    return std::equal(name.begin(), name.end(), wanted.begin(), wanted.end(), alike);
}

bool from_environment(const char* variable) { return std::getenv(variable) != nullptr; }

std::string statement_of(const std::vector<std::pair<std::string, std::string>>& settings) {
    std::string sql;
    for (const auto& [name, value] : settings) {
        if ((name + value).find('\0') != std::string::npos) throw UsageError("a setting contains a NUL byte");
        if (is_setting(name, "client_encoding")) throw UsageError("client_encoding is always UTF8 and cannot be set");
        sql += sql.empty() ? "select " : ", ";
        sql += "set_config(" + quote_literal(name) + ", " + quote_literal(value) + ", false)";
    }
    return sql;
}

// The shorter one of both; 10 s where neither is given.
Duration limit_of(std::optional<Duration> option, const std::string& given) {
    int seconds = 0;
    const auto [end, problem] = std::from_chars(given.data(), given.data() + given.size(), seconds);
    if (!given.empty() && (problem != std::errc() || end != given.data() + given.size())) {
        throw UsageError("the connection string is not valid: connect_timeout must be a number of seconds");
    }
    if (seconds <= 0) return option.value_or(10s);
    return std::min<Duration>(option.value_or(Duration::max()), std::chrono::seconds(seconds));
}

}  // namespace

void ConnectProgress::failed(const std::string& where, ErrorFields fields) {
    attempts.emplace_back(where, fields.message);
    starting = starting || fields.sqlstate == sqlstate::cannot_connect_now;
    const std::string& state = fields.sqlstate;
    final = state.compare(0, 2, "28") == 0 || state == sqlstate::undefined_database;
    last = std::move(fields);
}

TimePoint share(TimePoint deadline, std::size_t left) {
    const TimePoint now = Clock::now();
    if (left <= 1 || deadline <= now) return deadline;
    return now + (deadline - now) / static_cast<Duration::rep>(left);
}

PqConnector::PqConnector(std::string_view url, ConnectValues options)
    : conninfo_(Conninfo::parse(url)),
      options_(std::move(options)),
      settings_(statement_of(options_.settings)),
      limit_(limit_of(options_.connect_timeout, conninfo_.get("connect_timeout"))) {
    conninfo_.set("client_encoding", "UTF8");
    const bool chosen = conninfo_.given("gssencmode") || from_environment("PGGSSENCMODE");
    if (!chosen && conninfo_.get("gssencmode") == "prefer") conninfo_.set("gssencmode", "disable");
    conninfo_.set_default("fallback_application_name", "coaio");
    // A peer that vanished is noticed within half a minute, also where no statement has a deadline.
    conninfo_.set_default("keepalives_idle", "10");
    conninfo_.set_default("keepalives_interval", "5");
    conninfo_.set_default("keepalives_count", "3");
    conninfo_.set_default("tcp_user_timeout", "25000");
    target_ = target_of(conninfo_.get("target_session_attrs"));
    balance_ = options_.balance_hosts || conninfo_.get("load_balance_hosts") == "random";
    const auto is_check = [](const auto& setting) {
        return is_setting(setting.first, "client_connection_check_interval");
    };
    checks_for_client_ = std::any_of(options_.settings.begin(), options_.settings.end(), is_check) ||
                         conninfo_.get("options").find("client_connection_check_interval") != std::string::npos;
}

Coro<std::unique_ptr<Link>> PqConnector::connect() {
    const TimePoint deadline = deadline_in(limit_);
    if (!warned_) warn();
    Watch watch(options_.observer.get(), Operation::connect);
    int attempts = 1;
    std::exception_ptr failure;
    try {
        auto link = co_await connect_within(deadline, attempts);
        watch.attempt(attempts);
        watch.end();
        co_return std::move(link);
    } catch (...) {
        failure = std::current_exception();
    }
    watch.attempt(attempts);
    watch.fail(failure);
    std::rethrow_exception(failure);
}

Coro<std::unique_ptr<Link>> PqConnector::connect_within(TimePoint deadline, int& attempts) {
    ConnectProgress progress;
    Duration pause = 50ms;
    SessionPtr session;
    for (;;) {
        progress.starting = false;
        session = co_await try_all(deadline, progress);
        attempts = static_cast<int>(progress.attempts.size());
        if (session) ++attempts;
        if (session) break;
        const bool again = progress.starting && !progress.final && Clock::now() + pause < deadline;
        if (!again) give_up(progress);
        co_await sleep(pause);
        pause = std::min<Duration>(pause * 2, 1s);
    }
    auto link = std::make_unique<PqLink>(std::move(session), options_, cancels_);
    link->serve_as(progress.target, progress.second_choice);
    if (!settings_.empty()) {
        const bool applied = co_await apply(settings_, true, *link, deadline, progress);
        if (!applied) give_up(progress);
    }
    // In the middle of a statement a server does not notice that its client has gone, unless it looks, as not every
    // platform can.
    if (link->cancels_by_closing() && !checks_for_client_ && link->server_version() >= 140'000) {
        const bool applied = co_await apply(look_for_client, false, *link, deadline, progress);
        if (!applied) give_up(progress);
    }
    co_return std::move(link);
}

Coro<PqConnector::SessionPtr> PqConnector::try_all(TimePoint deadline, ConnectProgress& progress) {
    progress.second_choice = false;
    if (target_ != Target::prefer_standby) {
        progress.target = target_;
        co_return co_await try_hosts(deadline, progress);
    }
    progress.target = Target::standby;
    SessionPtr session = co_await try_hosts(share(deadline, 2), progress);
    if (session || progress.final) co_return std::move(session);
    progress.target = Target::any;
    progress.second_choice = true;
    session = co_await try_hosts(deadline, progress);
    co_return std::move(session);
}

Coro<PqConnector::SessionPtr> PqConnector::try_hosts(TimePoint deadline, ConnectProgress& progress) {
    std::vector<Host> hosts = conninfo_.hosts();
    if (balance_) shuffle(hosts);
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        SessionPtr session = co_await try_host(hosts[i], share(deadline, hosts.size() - i), progress);
        if (session || progress.final) co_return std::move(session);
    }
    co_return nullptr;
}

void PqConnector::warn() noexcept {
    warned_ = true;
    if (!options_.on_notice || options_.password) return;
    try {
        ErrorFields fields;
        fields.severity = "WARNING";
        fields.message = conninfo_.passfile_problem();
        if (!fields.message.empty()) options_.on_notice(fields);
    } catch (...) {  // a handler that fails must not keep it from connecting
    }
}

void PqConnector::give_up(ConnectProgress& progress) const {
    ErrorFields fields = std::move(progress.last);
    fields.outcome = Outcome::not_sent;
    fields.connection_good = false;
    std::string text = "cannot connect to " + target();
    for (const ConnectAttempt& each : progress.attempts) text += "; " + each.address + ": " + each.reason;
    fields.message = std::move(text);
    throw ConnectionError(std::move(fields), std::move(progress.attempts));
}

}  // namespace coaio::db::detail
