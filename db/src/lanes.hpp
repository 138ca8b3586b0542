// SPDX-License-Identifier: MIT
#pragma once

#include "lane_link.hpp"
#include "pool_state.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace coaio::db::detail {

class Lanes;
struct Lane;

/// Whether a statement may share a connection with those of other tasks: it only reads, by functions that are known to
/// do nothing else. So it changes nothing of the session, waits for no other than a lock on a whole table, and may run
/// twice. It errs on the side of no; what views and operators do it cannot see.
[[nodiscard]] bool only_reads(std::string_view sql);

/// A statement that waits for its answer. It stands in its task's frame, and may go at any time.
class Ask {
public:
    /// `alone`: what the statement took by itself.
    Ask(Lanes& lanes, const std::string& sql, const Params& params, Duration alone) noexcept;
    Ask(const Ask&) = delete;
    Ask& operator=(const Ask&) = delete;
    ~Ask();

    Event started;  ///< it was sent, or is done
    Event done;
    Rows rows;
    std::exception_ptr failure;
    bool again = false;   ///< it had no effect, and should be run by itself
    bool undone = false;  ///< or among others, since one of those under its Sync failed

private:
    friend Lanes;
    enum class State : unsigned char { fresh, pending, sent, done };

    const std::string* sql_;
    const Params* params_;
    Lanes* lanes_;
    Lane* lane_ = nullptr;
    State state_ = State::fresh;
    std::size_t bytes_;
    Duration alone_;
};

/// A connection that statements of several tasks share.
struct Lane {
    struct Sent {
        Ask* ask;         // null: nobody waits for it any more
        TimePoint since;  // when it was sent, or came first
        std::size_t bytes;
        Duration alone;  // what it took by itself
    };

    Lease lease;
    LaneLink* link = nullptr;  // none before the pool has given one
    std::deque<Sent> sent;
    std::size_t awaited = 0;
    std::size_t bytes = 0;
    Duration expected{};         // what they took by themselves, all of them
    TimePoint suspect{};         // since when that runs which takes long
    std::size_t further = 0;     // answers to come under the Sync of the last one
    bool held_up = false;        // these took long
    bool closed = false;         // nothing more is sent on it
    std::exception_ptr failure;  // of sending
    Timeout* limit = nullptr;    // of its task; it strikes when nobody waits any more
    std::list<Lane>::iterator self;
};

/// Single statements of a pool's tasks, on as many connections as there are, and in pipelines where there are more
/// statements than connections. Statements that are not known to be quick, and to read only, have a connection to
/// themselves.
class Lanes : public std::enable_shared_from_this<Lanes> {
public:
    Lanes(std::shared_ptr<PoolState> pool, const PoolValues& values, std::size_t statement_cache);
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;
    ~Lanes() = default;

    [[nodiscard]] static Coro<Rows> run(std::shared_ptr<Lanes> self, std::string sql, Params params);
    /// Nothing waits for a connection any more.
    void close() noexcept;
    /// Statements that wait for a connection, less those that wait for one on their behalf.
    [[nodiscard]] std::size_t waiting() const noexcept { return pending_.size() - std::min(pending_.size(), openers_); }

private:
    friend Ask;
    class Pump;
    /// What is known of a statement.
    struct Known {
        bool shared = false;
        bool quick = false;
        Duration took{};
        std::vector<Oid> types;
    };

    [[nodiscard]] Coro<> await_start(Ask& ask);
    [[nodiscard]] Known* find(const std::string& sql, const Params& params);
    [[nodiscard]] bool shares(const Known& known, const std::string& sql, const Params& params) const;
    void learn(const std::string& sql, const Params& params, Duration took);
    /// On this network.
    [[nodiscard]] bool quick(Duration took) const noexcept { return took < slack + fastest_ * 4; }
    [[nodiscard]] bool overdue(Duration took) const noexcept { return took >= slack * 5 + fastest_ * 4; }
    /// How much of what it takes is no wonder: it is several that have one answer.
    [[nodiscard]] Duration allowance(Duration expected) const noexcept {
        return values_.shared_sync ? std::min<Duration>(expected, slack * 50) : Duration::zero();
    }

    /// `again`: it has had its place already.
    void enqueue(Ask& ask, bool again);
    /// The one with the fewest statements, if there is one for it.
    [[nodiscard]] Lane* joinable(const Ask& ask, TimePoint now);
    [[nodiscard]] bool has_room(const Lane& lane, const Ask& ask, TimePoint now) const noexcept;
    [[nodiscard]] bool fit(Lane& lane, TimePoint now);
    void send(Lane& lane, Ask& ask, TimePoint now);
    void time(Lane& lane, const LaneLink::Answer& answer, TimePoint now);
    void feed(Lane& lane, bool its_turn);
    void leave(const Ask& ask) noexcept;
    void keep_watch();
    void watch();
    [[nodiscard]] Lane& add_lane(Lease lease);
    void open_lanes();
    [[nodiscard]] static Coro<> pump(Pump owner);
    [[nodiscard]] Coro<> serve(Lane& lane, bool its_turn);
    void answered(Lane& lane, LaneLink::Answer answer);
    void tell(Ask& ask, Lane& lane, LaneLink::Answer answer);
    static void finish(Ask& ask) noexcept;
    static void run_by_itself(Ask& ask) noexcept;
    /// Without a failure each runs by itself.
    void end_pending(const std::exception_ptr& failure) noexcept;
    void drop(Lane& lane, const std::exception_ptr& failure) noexcept;

    static constexpr Duration slack = std::chrono::milliseconds(10);
    static constexpr std::size_t most_known = 1024;
    static constexpr std::size_t most_bytes = 64 * 1024;        // of one statement
    static constexpr std::size_t most_lane_bytes = 256 * 1024;  // that have no answer yet

    std::shared_ptr<PoolState> pool_;
    PoolValues values_;
    bool usable_;
    bool watching_ = false;
    std::unordered_map<std::string, Known> known_;
    Duration fastest_{};
    std::list<Lane> lanes_;
    std::deque<Ask*> pending_;
    std::size_t openers_ = 0;
};

}  // namespace coaio::db::detail
