// SPDX-License-Identifier: MIT
#include "connect.hpp"

#include "running.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/timeout.hpp>

#include <utility>

namespace coaio::db::detail {
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

// Of what is being thrown: whether it is the time that has passed.
bool passed(Timeout& limit) {
    try {
        limit.leave_by_exception();
    } catch (const TimeoutError&) {
        return true;
    }
    return false;
}

// Of what is being thrown: whether something else was cancelled than who runs here.
bool cancelled_elsewhere() {
    try {
        throw;
    } catch (const CancelledError&) {
        return coaio::detail::current_task_state().level().requests == 0;
    } catch (...) {
        return false;
    }
}

}  // namespace

Coro<std::vector<std::string>> PqConnector::find_addresses(const Host& host, TimePoint deadline,
                                                           ConnectProgress& progress) const {
    std::vector<std::string> addresses;
    if (host.is_socket()) {
        addresses.emplace_back();
        co_return addresses;
    }
    if (!host.address.empty()) {
        addresses.push_back(host.address);
        co_return addresses;
    }
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
        if (!passed(limit)) throw;
        problem = "the name was not resolved; " + no_answer(Clock::now() - began).message;
    }
    if (!problem.empty()) {
        ErrorFields fields;
        fields.message = problem;
        progress.failed(host.name + ":" + host.port, std::move(fields));
    }
    co_return addresses;
}

Coro<bool> PqConnector::ask_password(const Host& host, TimePoint deadline, ConnectProgress& progress) {
    const TimePoint began = Clock::now();
    PasswordRequest request(host.name.empty() ? host.address : host.name, host.port, conninfo_.get("user"),
                            conninfo_.get("dbname"));
    Timeout limit(deadline);
    try {
        progress.password = co_await options_.password(request);
        limit.leave();
    } catch (...) {
        const bool late = passed(limit);
        if (!late && !cancelled_elsewhere()) throw;
        ErrorFields fields = no_answer(Clock::now() - began);
        if (!late) fields.message = "what its provider waits for was cancelled";
        fields.message = "the password was not provided; " + fields.message;
        progress.failed(place(host, {}), std::move(fields));
        co_return false;
    }
    if (progress.password.find('\0') != std::string::npos) throw UsageError("the password contains a NUL byte");
    co_return true;
}

Coro<PqConnector::SessionPtr> PqConnector::try_host(const Host& host, TimePoint deadline, ConnectProgress& progress) {
    std::vector<std::string> addresses = co_await find_addresses(host, deadline, progress);
    if (addresses.empty()) co_return nullptr;
    if (balance_) shuffle(addresses);
    if (options_.password) {
        const bool known = co_await ask_password(host, deadline, progress);
        if (!known) co_return nullptr;
    }
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        auto session = co_await try_address(host, addresses[i], share(deadline, addresses.size() - i), progress);
        if (session || progress.final) co_return std::move(session);
    }
    co_return nullptr;
}

Coro<PqConnector::SessionPtr> PqConnector::try_address(const Host& host, std::string address, TimePoint deadline,
                                                       ConnectProgress& progress) {
    const TimePoint began = Clock::now();
    ErrorFields problem;
    progress.place = place(host, address);
    Timeout limit(deadline);
    try {
        auto session = co_await reach(host, address, progress);
        limit.leave();
        co_return std::move(session);
    } catch (const ConnectionError& error) {
        limit.leave();
        problem = error.fields();
    } catch (const IoError& error) {
        limit.leave();
        problem.message = error.what();
    } catch (...) {
        if (!passed(limit)) throw;
        problem = no_answer(Clock::now() - began);
    }
    progress.failed(progress.place, std::move(problem));
    co_return nullptr;
}

Coro<PqConnector::SessionPtr> PqConnector::reach(const Host& host, const std::string& address,
                                                 ConnectProgress& progress) {
    const bool prefers = conninfo_.get("sslmode") == "prefer" && conninfo_.get("gssencmode") == "disable";
    const std::string where = place(host, address);
    if (!prefers || host.is_socket() || without_tls_.count(where) != 0) {
        SessionPtr session = co_await handshake(host, address, {}, progress);
        if (session->encrypted()) without_tls_.erase(where);
        co_return std::move(session);
    }
    // libpq would try again without TLS whatever went wrong with it, a password that was refused included.
    progress.lacks_tls = false;
    try {
        SessionPtr session = co_await handshake(host, address, "require", progress);
        co_return std::move(session);
    } catch (const ConnectionError& error) {
        if (!progress.lacks_tls && !error.is(sqlstate::invalid_authorization)) throw;
    }
    if (progress.lacks_tls) without_tls_.insert(where);
    SessionPtr session = co_await handshake(host, address, "disable", progress);
    co_return std::move(session);
}

Coro<PqConnector::SessionPtr> PqConnector::handshake(const Host& host, const std::string& address, std::string sslmode,
                                                     ConnectProgress& progress) const {
    auto values = conninfo_.given();
    values.erase("hostaddr");
    values.erase("connect_timeout");
    values.erase("load_balance_hosts");
    values["port"] = host.port;
    if (host.name.empty()) {
        values.erase("host");
    } else {
        values["host"] = host.name;
    }
    if (!address.empty()) values["hostaddr"] = address;
    if (!sslmode.empty()) values["sslmode"] = std::move(sslmode);
    if (options_.password) values["password"] = progress.password;
    values["target_session_attrs"] = to_string(progress.target);

    auto session = std::make_unique<pq::Session>(values);
    pq::Progress wanted = pq::Progress::wants_write;
    while (wanted != pq::Progress::done) {
        const int fd = session->socket();
        if (fd < 0) throw ConnectionError(session->connect_error());
        const bool write = wanted == pq::Progress::wants_write;
        co_await io::wait_ready(fd, {.readable = !write, .writable = write});
        wanted = session->poll_connect();
        progress.lacks_tls = session->lacks_tls();
        if (wanted == pq::Progress::failed) throw ConnectionError(session->connect_error());
    }
    co_return std::move(session);
}

Coro<bool> PqConnector::apply(std::string settings, bool needed, Link& link, TimePoint deadline,
                              ConnectProgress& progress) const {
    const TimePoint began = Clock::now();
    ErrorFields problem;
    Timeout limit(deadline);
    try {
        co_await ignore(link.command(settings, OnCancel::close));
        limit.leave();
        co_return true;
    } catch (const Error& error) {
        limit.leave();
        problem = error.fields();
    } catch (...) {
        if (!passed(limit)) throw;
        problem = no_answer(Clock::now() - began);
    }
    if (problem.connection_good && !needed) co_return true;
    problem.sql = without_literals(settings);
    if (problem.connection_good) throw_error(std::move(problem));  // the server does not want them
    progress.failed(progress.place, std::move(problem));
    co_return false;
}

}  // namespace coaio::db::detail
