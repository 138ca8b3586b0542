// SPDX-License-Identifier: MIT
#pragma once

#include "connection.hpp"

#include <coaio/core/handle.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/time.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/url.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace coaio::http::detail {

class Pool;

/// The connections of one origin: turns for those that are busy, and those that are idle.
struct Origin {
    Origin(std::string origin, std::size_t most) : name(std::move(origin)), turns(static_cast<std::ptrdiff_t>(most)) {}
    std::string name;
    Semaphore turns;
    std::size_t idle = 0;
    std::size_t users = 0;  // who waits for a turn, or has one
};

/// A connection that idles in the pool: watched, and thrown out when anything comes.
class IdleConnection final : private WatchListener {
public:
    IdleConnection(Pool& pool, std::shared_ptr<Origin> origin, std::shared_ptr<Connection> connection);
    ~IdleConnection();

    [[nodiscard]] const Origin& origin() const noexcept { return *origin_; }
    [[nodiscard]] TimePoint since() const noexcept { return since_; }
    [[nodiscard]] std::shared_ptr<Connection> release() noexcept;

private:
    void on_bytes() noexcept override;
    void on_end() noexcept override;
    void on_failure() noexcept override;

    Pool& pool_;
    std::shared_ptr<Origin> origin_;
    std::shared_ptr<Connection> connection_;
    TimePoint since_;
};

/// The right to one connection of an origin.
class Turn {
public:
    Turn(Turn&& other) noexcept = default;
    Turn& operator=(Turn&&) noexcept;
    ~Turn() { leave(); }

    [[nodiscard]] Origin& origin() const noexcept { return *origin_; }
    [[nodiscard]] const std::shared_ptr<Origin>& shared() const noexcept { return origin_; }

private:
    friend class Pool;
    Turn(std::shared_ptr<Pool> pool, std::shared_ptr<Origin> origin) noexcept;
    void leave() noexcept;

    std::shared_ptr<Pool> pool_;
    std::shared_ptr<Origin> origin_;
    std::optional<SemaphoreGuard> guard_;
};

/// The connections of a client.
class Pool : public std::enable_shared_from_this<Pool> {
public:
    Pool(std::size_t max_per_host, std::size_t max_idle, Duration idle_timeout) noexcept
        : max_per_host_(max_per_host == 0 ? 1 : max_per_host), max_idle_(max_idle), idle_timeout_(idle_timeout) {}
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool();

    /// Waits for a turn at an origin.
    [[nodiscard]] Coro<Turn> enter(std::string origin);
    /// The connection of this origin that went idle last; null if there is none.
    [[nodiscard]] std::shared_ptr<Connection> take(const Origin& origin) noexcept;
    /// Keeps a connection between two messages.
    void give(const std::shared_ptr<Origin>& origin, std::shared_ptr<Connection> connection);
    void close_idle() noexcept { idle_.clear(); }

    [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }
    [[nodiscard]] std::size_t busy() const noexcept { return busy_; }

private:
    friend class IdleConnection;
    friend class Turn;

    void drop(const IdleConnection& connection) noexcept;
    [[nodiscard]] WaitInfo describe_entry(const Origin& origin) const;
    void forget_unused(const Origin& origin) noexcept;
    void arm();
    void expire();

    std::unordered_map<std::string, std::shared_ptr<Origin>> origins_;
    std::list<IdleConnection> idle_;  // the one idle for longest first
    std::optional<TimerHandle> timer_;
    std::size_t max_per_host_;
    std::size_t max_idle_;
    std::size_t busy_ = 0;
    Duration idle_timeout_;
};

}  // namespace coaio::http::detail
