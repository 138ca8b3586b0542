// SPDX-License-Identifier: MIT
#pragma once

#include "conninfo.hpp"
#include "libpq.hpp"
#include "link.hpp"

#include <coaio/db/options.hpp>

#include <coaio/core/semaphore.hpp>

#include <memory>
#include <string>
#include <vector>

namespace coaio::db::detail {

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

private:
    struct Progress;

    [[nodiscard]] Coro<std::unique_ptr<Link>> connect_within(TimePoint deadline);
    [[nodiscard]] Coro<std::unique_ptr<pq::Session>> try_all(TimePoint deadline, Progress& progress);
    [[nodiscard]] Coro<std::unique_ptr<pq::Session>> try_host(const Host& host, TimePoint deadline, Progress& progress);
    [[nodiscard]] Coro<std::unique_ptr<pq::Session>> try_address(const Host& host, std::string address,
                                                                 TimePoint deadline, Progress& progress);
    [[nodiscard]] Coro<std::unique_ptr<pq::Session>> handshake(const Host& host, const std::string& address) const;
    [[nodiscard]] Coro<> apply_settings(Link& link) const;
    [[noreturn]] void give_up(Progress& progress) const;

    Conninfo conninfo_;
    ConnectValues options_;
    std::shared_ptr<Semaphore> cancels_ = std::make_shared<Semaphore>(4);
    Duration limit_;
};

}  // namespace coaio::db::detail
