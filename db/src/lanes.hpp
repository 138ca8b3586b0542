// SPDX-License-Identifier: MIT
#pragma once

#include "link_pq.hpp"
#include "pool_state.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/handle.hpp>
#include <coaio/core/task.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace coaio::db::detail {

class Lanes;
struct Lane;

/// Whether a statement may travel with those of other tasks. Only what can neither begin a transaction nor change the
/// session by itself may, and nothing follows what takes locks: whoever waits behind it could hold what it waits for.
enum class Sharing : unsigned char { never, last, free };
[[nodiscard]] Sharing sharing_of(std::string_view sql);

/// A statement that waits for its answer. It stands in its task's frame, and may go at any time.
class Ask {
public:
    Ask(Lanes& lanes, const std::string& sql, const Params& params) noexcept
        : sql_(&sql), params_(&params), lanes_(&lanes) {}
    Ask(const Ask&) = delete;
    Ask& operator=(const Ask&) = delete;
    ~Ask();

    Event started;  ///< it was sent, or is done
    Event done;
    Rows rows;
    std::exception_ptr failure;
    bool again = false;  ///< it had no effect, and should be run by itself

private:
    friend Lanes;
    enum class State : unsigned char { fresh, pending, sent, done };

    const std::string* sql_;
    const Params* params_;
    Lanes* lanes_;
    Lane* lane_ = nullptr;
    State state_ = State::fresh;
    Sharing sharing_ = Sharing::never;
    Format results_ = Format::text;
};

/// A connection that statements of several tasks share, each with a Sync of its own.
struct Lane {
    struct Sent {
        Ask* ask = nullptr;  // null: nobody waits for it any more
        TimePoint since{};   // when it was sent, or came first
        bool last = false;
    };

    Lease lease;
    PqLink* link = nullptr;  // none before the pool has given one
    std::deque<Sent> sent;
    std::size_t awaited = 0;
    bool closed = false;
    std::optional<AnyTask> pump;
    std::optional<TimerHandle> retirement;
    std::list<Lane>::iterator self{};
};

/// Single statements of a pool's tasks, on as many connections as there are, and in pipelines where there are more
/// statements than connections. Statements that are not known to be quick have a connection to themselves.
class Lanes : public std::enable_shared_from_this<Lanes> {
public:
    Lanes(std::shared_ptr<PoolState> pool, const PoolValues& values, std::size_t statement_cache);
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;
    ~Lanes() = default;

    [[nodiscard]] static Coro<Rows> run(std::shared_ptr<Lanes> self, std::string sql, Params params);
    /// Nothing waits for a connection any more.
    void close();
    /// Statements that wait for a connection, less those that wait for one on their behalf.
    [[nodiscard]] std::size_t waiting() const noexcept { return pending_.size() - std::min(pending_.size(), openers_); }

private:
    friend Ask;
    struct PumpGuard;
    /// What is known of a statement.
    struct Known {
        Sharing sharing = Sharing::never;
        Format results = Format::text;
        bool quick = false;
        std::vector<Oid> types;
    };

    [[nodiscard]] Coro<Rows> run_alone(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<> await_start(Ask& ask);
    [[nodiscard]] Known* find(const std::string& sql, const Params& params);
    void learn(const std::string& sql, const Params& params, PqLink& link, Duration took);
    [[nodiscard]] bool quick(Duration took) const noexcept { return took < slack + fastest_ * 4; }  // on this network

    void enqueue(Ask& ask);
    [[nodiscard]] bool joinable(const Lane& lane) const;
    void send(Lane& lane, Ask& ask);
    void feed(Lane& lane);
    void leave(Ask& ask) noexcept;
    [[nodiscard]] Lane& add_lane(Lease lease);
    void open_lanes();
    [[nodiscard]] static Coro<> pump(std::shared_ptr<Lanes> self, Lane& lane);
    void answered(Lane& lane, PqLink::LaneAnswer answer);
    static void finish(Ask& ask) noexcept;
    void fail_pending(const std::exception_ptr& failure) noexcept;
    void drop(Lane& lane, const std::exception_ptr& failure) noexcept;

    static constexpr Duration slack = std::chrono::milliseconds(10);
    static constexpr std::size_t most_known = 4096;
    static constexpr std::size_t most_bytes = 64 * 1024;

    std::shared_ptr<PoolState> pool_;
    PoolValues values_;
    bool usable_;
    std::unordered_map<std::string, Known> known_;
    Duration fastest_{};
    std::list<Lane> lanes_;
    std::deque<Ask*> pending_;
    std::size_t openers_ = 0;
};

}  // namespace coaio::db::detail
