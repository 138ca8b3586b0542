// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

namespace server {

/// A Postgres cluster of the server's own, in a folder of its own: made when it is first needed, reached over a Unix
/// socket only, run as another user where we are root. One that a killed server left running is taken over.
///
///     <data>/lock          held by the server that uses the folder
///     <data>/cluster/      what initdb made
///     <data>/postgres.log
///
/// Errors: `coaio::Error`, which says what to do, with the end of the log where Postgres said more.
/// Lifetime: stop it before it goes; one that was not stopped is left running.
class EmbeddedPostgres {
public:
    /// `/var/lib/coaio-server` for root, whose home is closed to others; else `$XDG_DATA_HOME/coaio-server`.
    [[nodiscard]] static std::filesystem::path default_folder();

    /// Takes hold of the folder; starts nothing. An empty path means the default. Takes `connections` at a time, unless it
    /// was running before.
    explicit EmbeddedPostgres(std::filesystem::path folder, std::size_t connections = 100);
    EmbeddedPostgres(const EmbeddedPostgres&) = delete;
    EmbeddedPostgres& operator=(const EmbeddedPostgres&) = delete;
    ~EmbeddedPostgres();

    /// Makes the cluster if there is none, starts it or takes it over, and waits until it answers.
    /// Cancellation: what had been started is stopped.
    [[nodiscard]] coaio::Coro<> start();
    /// Returns when the running Postgres has ended by itself.
    [[nodiscard]] coaio::Coro<> ended();
    /// Ends its sessions, writes all out, and waits for its end. Again: no effect.
    [[nodiscard]] coaio::Coro<> stop();

    /// Whether it had been running before `start`.
    [[nodiscard]] bool adopted() const noexcept { return adopted_; }
    [[nodiscard]] pid_t pid() const noexcept;
    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
    [[nodiscard]] const std::filesystem::path& socket_folder() const noexcept { return socket_folder_; }
    /// A connection string of libpq.
    [[nodiscard]] std::string conninfo() const;

private:
    struct Process;

    [[nodiscard]] coaio::Coro<> launch();
    [[nodiscard]] coaio::Coro<> await_ready();
    [[nodiscard]] coaio::Coro<bool> exits_within(coaio::Duration limit);
    [[nodiscard]] bool adopt();
    void prepare_folder();
    void choose_socket_folder();
    void drop_socket_folder() noexcept;
    [[nodiscard]] std::filesystem::path binaries() const;
    [[nodiscard]] std::filesystem::path cluster() const { return folder_ / "cluster"; }
    [[nodiscard]] std::filesystem::path log() const { return folder_ / "postgres.log"; }

    std::filesystem::path folder_;
    std::filesystem::path socket_folder_;
    std::size_t connections_;
    std::unique_ptr<Process> process_;
    int lock_ = -1;
    bool adopted_ = false;
};

}  // namespace server
