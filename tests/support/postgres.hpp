// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "support/kept_port.hpp"

namespace tests {

/// How a cluster is stopped: `fast` lets no one finish but writes all out, `immediate` is a crash.
enum class Stop { fast, immediate };

/// A Postgres server of the test's own: a fresh cluster in a temporary folder, on a Unix socket, as a user other than
/// root. It goes away with the object; should the process die first, a guard stops and removes it.
/// Throws std::runtime_error with the end of the server's log when anything fails.
class Postgres {
public:
    using Settings = std::map<std::string, std::string>;
    using Row = std::vector<std::optional<std::string>>;

    /// Settings go on the server's command line; without others it does not wait for the disk (fsync = off).
    /// One that is told `listen_addresses` listens on a free port of its own as well, which it keeps.
    explicit Postgres(const Settings& settings = {});
    /// A copy of a server that runs, and follows it. Of one that was made with `for_standbys()`.
    static std::unique_ptr<Postgres> standby_of(const Postgres& primary);
    /// Settings that let standbys follow.
    static Settings for_standbys();
    ~Postgres();
    Postgres(const Postgres&) = delete;
    Postgres& operator=(const Postgres&) = delete;

    /// The one for all tests of this program, started when it is first asked for.
    static Postgres& shared();

    void start();
    void stop(Stop how);
    void restart(Stop how);
    [[nodiscard]] bool running() const noexcept { return server_ > 0; }
    /// The postmaster's process, 0 when it does not run.
    [[nodiscard]] pid_t pid() const noexcept { return server_; }
    /// From the next start on.
    void set(const std::string& setting, const std::string& value) { settings_[setting] = value; }
    /// Writes a file that the server can read, and nobody else by default; gives its path.
    std::string write_file(const std::string& name, const std::string& text, mode_t mode = 0600) const;
    /// Makes a standby a server of its own, and waits for it.
    void promote() const;
    /// Waits until what `primary` has written so far can be read here; false when that does not happen in time.
    bool await_replay(const Postgres& primary, std::chrono::milliseconds limit = std::chrono::seconds(20)) const;

    /// The folder of the socket: the `host` of a connection string.
    [[nodiscard]] const std::string& socket_folder() const noexcept { return folder_; }
    /// Of the socket and, where it listens there too, of 127.0.0.1.
    [[nodiscard]] int port() const noexcept { return port_; }
    [[nodiscard]] bool has_network() const noexcept { return settings_.count("listen_addresses") != 0; }
    /// "host=… port=… user=postgres dbname=…"
    [[nodiscard]] std::string conninfo(const std::string& database = "postgres") const;

    /// Runs statements in a session of their own and waits for them. Gives the rows of the last one, as text.
    std::vector<Row> sql(const std::string& database, const std::string& statements) const;
    /// The only value of such a statement.
    std::string value(const std::string& database, const std::string& statement) const;
    /// Sessions of clients in the database, but for the one that asks.
    int sessions(const std::string& database) const;
    /// Waits until there are `count` of them; false when that does not happen in time.
    bool await_sessions(const std::string& database, int count,
                        std::chrono::milliseconds limit = std::chrono::seconds(20)) const;
    /// Waits until the statement gives this value; false when that does not happen in time.
    bool await_value(const std::string& statement, const std::string& wanted,
                     std::chrono::milliseconds limit = std::chrono::seconds(20)) const;
    /// Waits until a cluster's folder is gone; false when that does not happen in time.
    static bool await_removal(const std::string& folder, std::chrono::milliseconds limit = std::chrono::seconds(15));

private:
    Postgres(const Settings& settings, const Postgres* primary);
    void make_cluster();
    void copy_cluster(const Postgres& primary);
    void start_guard();
    void await_ready();
    [[nodiscard]] std::string log_end() const;

    Settings settings_;
    std::string binaries_;
    std::string folder_;
    int port_ = 5432;
    std::optional<KeptPort> kept_;
    uid_t uid_ = 0;
    gid_t gid_ = 0;
    pid_t server_ = 0;
    pid_t guard_ = 0;
};

/// A new, empty database of the shared server, dropped at the end with whoever is still in it.
class Database {
public:
    explicit Database(Postgres& server = Postgres::shared());
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    [[nodiscard]] Postgres& server() const noexcept { return *server_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::string conninfo() const { return server_->conninfo(name_); }
    std::vector<Postgres::Row> sql(const std::string& statements) const { return server_->sql(name_, statements); }
    std::string value(const std::string& statement) const { return server_->value(name_, statement); }
    [[nodiscard]] int sessions() const { return server_->sessions(name_); }

private:
    Postgres* server_;
    std::string name_;
};

}  // namespace tests
