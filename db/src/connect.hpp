// SPDX-License-Identifier: MIT
#pragma once

#include "conninfo.hpp"
#include "libpq.hpp"
#include "link.hpp"
#include "target.hpp"

#include <coaio/db/options.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/semaphore.hpp>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace coaio::db::detail {

/// What has been tried so far.
struct ConnectProgress {
    std::vector<ConnectAttempt> attempts;
    std::string place;  ///< that is being tried
    ErrorFields last;
    std::string password;  ///< what its provider said last
    Target target = Target::any;
    bool final = false;  ///< the server has answered, and will answer the same again
    bool starting = false;
    bool second_choice = false;
    bool lacks_tls = false;  ///< said the server that was tried last

    void failed(const std::string& where, ErrorFields fields);
};

/// A part of the time that is left for each of those that have not been tried.
[[nodiscard]] TimePoint share(TimePoint deadline, std::size_t left);

template <class T>
void shuffle(std::vector<T>& list) {
    auto& loop = get_running_loop();
    for (std::size_t left = list.size(); left > 1; --left) std::swap(list[left - 1], list[loop.random() % left]);
}

/// Opens sessions by libpq without blocking: it looks names up itself, tries one address after the other, each with its
/// share of the time that is left, and registers the socket anew after every step (it may have been replaced).
///
/// A server's SCRAM proof is computed inside libpq, on the loop: some milliseconds for each connection (LPQ-12).
class PqConnector final : public Connector {
public:
    /// Throws UsageError for a connection string that cannot be understood.
    PqConnector(std::string_view url, ConnectValues options);

    Coro<std::unique_ptr<Link>> connect() override;
    [[nodiscard]] std::string target() const override { return conninfo_.to_string(); }
    [[nodiscard]] const std::shared_ptr<Observer>& observer() const noexcept override { return options_.observer; }
    [[nodiscard]] const TraceSource& trace() const noexcept override { return options_.trace; }

private:
    using SessionPtr = std::unique_ptr<pq::Session>;

    [[nodiscard]] Coro<std::unique_ptr<Link>> connect_within(TimePoint deadline, int& attempts);
    [[nodiscard]] Coro<SessionPtr> try_all(TimePoint deadline, ConnectProgress& progress);
    [[nodiscard]] Coro<SessionPtr> try_hosts(TimePoint deadline, ConnectProgress& progress);
    void warn() noexcept;
    [[noreturn]] void give_up(ConnectProgress& progress) const;

    // One host; see connect_host.cpp.
    [[nodiscard]] Coro<SessionPtr> try_host(const Host& host, TimePoint deadline, ConnectProgress& progress);
    [[nodiscard]] Coro<std::vector<std::string>> find_addresses(const Host& host, TimePoint deadline,
                                                                ConnectProgress& progress) const;
    /// False when it took too long.
    [[nodiscard]] Coro<bool> ask_password(const Host& host, TimePoint deadline, ConnectProgress& progress);
    [[nodiscard]] Coro<SessionPtr> try_address(const Host& host, std::string address, TimePoint deadline,
                                               ConnectProgress& progress);
    /// By TLS or without it, as `sslmode` has it.
    [[nodiscard]] Coro<SessionPtr> reach(const Host& host, const std::string& address, ConnectProgress& progress);
    [[nodiscard]] Coro<SessionPtr> handshake(const Host& host, const std::string& address, std::string sslmode,
                                             ConnectProgress& progress) const;
    /// False when the session was lost over them.
    /// False: the connection was lost. What is not `needed` may be refused.
    [[nodiscard]] Coro<bool> apply(std::string settings, bool needed, Link& link, TimePoint deadline,
                                   ConnectProgress& progress) const;

    Conninfo conninfo_;
    ConnectValues options_;
    std::shared_ptr<Semaphore> cancels_ = std::make_shared<Semaphore>(4);
    std::string settings_;  // as a statement; empty: there are none
    Duration limit_;
    bool checks_for_client_ = false;  // as its user has it
    Target target_ = Target::any;
    bool balance_ = false;
    std::set<std::string> without_tls_;  // places whose servers have none
    bool warned_ = false;
};

}  // namespace coaio::db::detail
