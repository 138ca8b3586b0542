// SPDX-License-Identifier: MIT
#pragma once

#include "link.hpp"

#include <coaio/db/options.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/detail/wait_list.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/handle.hpp>
#include <coaio/core/task.hpp>

#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace coaio::db::detail {

class PoolState;

/// One session's place in a pool, from before it is opened until after it is closed.
struct Slot {
    enum class State : unsigned char { opening, idle, in_use, cleaning };

    State state = State::opening;
    bool was_idle = false;
    std::unique_ptr<Link> link;
    TimePoint expires{};
    TimePoint idle_since{};
    TimePoint taken{};
    std::source_location where;  // it was taken
    bool holder_waits = false;   // for another one of this pool
    bool disowned = false;       // it is to be given back as soon as what is done on it has ended
    std::uint64_t era = 0;
    std::uint64_t holder = 0;       // its task's number; the task itself may hold, as its result, what gives this back
    std::optional<AnyTask> worker;  // opens or cleans it
    std::list<Slot>::iterator self{};
};

/// The task that took a connection which is in use, for people.
[[nodiscard]] std::string describe_holder(const Slot& slot);

/// The right to use a link: of a pool, to which it goes back, or of its own.
class Lease {
public:
    Lease() noexcept = default;
    Lease(std::unique_ptr<Link> own, std::shared_ptr<Connector> connector) noexcept
        : own_(std::move(own)), connector_(std::move(connector)) {}
    Lease(std::shared_ptr<PoolState> pool, Slot* slot) noexcept : pool_(std::move(pool)), slot_(slot) {}
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { give_back(); }

    [[nodiscard]] explicit operator bool() const noexcept { return slot_ != nullptr || own_ != nullptr; }
    [[nodiscard]] Link& link() const noexcept { return slot_ != nullptr ? *slot_->link : *own_; }
    [[nodiscard]] Slot& slot() const noexcept { return *slot_; }
    [[nodiscard]] std::shared_ptr<Connector> connector() const noexcept;
    void give_back() noexcept;
    /// Its holder has given it back, and nobody waits for that holder any more, while something is still done on it.
    void disown() noexcept {
        if (slot_ != nullptr) slot_->disowned = true;
    }

private:
    std::shared_ptr<PoolState> pool_;
    Slot* slot_ = nullptr;
    std::unique_ptr<Link> own_;
    std::shared_ptr<Connector> connector_;  // of its own
};

/// A task that waits for a connection, in the order of arrival.
class AcquireWait : public coaio::detail::Waiter {
public:
    explicit AcquireWait(PoolState& pool, bool had_its_turn = false) noexcept
        : pool_(&pool), had_its_turn_(had_its_turn) {}
    ~AcquireWait();

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> self, std::source_location location = std::source_location::current()) {
        enter();
        hang(self, location);
    }
    [[nodiscard]] Slot* await_resume();

    bool cancel(coaio::detail::CancelMessage message) noexcept override;
    [[nodiscard]] WaitInfo describe() const override;

    void grant(Slot* slot) noexcept { granted_ = slot; }
    void fail(std::exception_ptr failure) noexcept { failure_ = std::move(failure); }

private:
    void enter();

    PoolState* pool_;
    bool had_its_turn_;
    Slot* granted_ = nullptr;
    std::exception_ptr failure_;
};

/// Of one that had its turn, and got a connection that was dead: it is the first again.
class AcquireAgain final : public AcquireWait {
public:
    explicit AcquireAgain(PoolState& pool) noexcept : AcquireWait(pool, true) {}
};

/// The pool's logic, over links of any kind.
class PoolState : public std::enable_shared_from_this<PoolState> {
public:
    PoolState(std::shared_ptr<Connector> connector, PoolValues values, Duration cancel_timeout,
              NoticeHandler warn = NoticeHandler());
    ~PoolState();
    PoolState(const PoolState&) = delete;
    PoolState& operator=(const PoolState&) = delete;

    /// Throws RuntimeError on another loop than the one that used it first.
    void require_loop() { binding_.require("pool"); }
    [[nodiscard]] Coro<Lease> acquire(std::source_location where = std::source_location());
    /// Who is told of what is done; null: nobody.
    [[nodiscard]] Observer* observer() const noexcept { return observer_.get(); }
    [[nodiscard]] std::string dump() const;
    /// Opens one connection now and fails as that does.
    [[nodiscard]] Coro<> open_first();
    [[nodiscard]] Coro<> close();
    /// Nobody can close it any more: as `close`, without waiting.
    void abandon() noexcept;
    void expire();
    [[nodiscard]] PoolStats statistics() const;

    void give_back(Slot& slot) noexcept;
    [[nodiscard]] const std::shared_ptr<Connector>& connector() const noexcept { return connector_; }

    /// Throws where it is closed, or another loop's.
    void require_open();
    /// The running task has a connection of this pool.
    [[nodiscard]] bool held_by_running_task() const noexcept;
    using Reason = std::uint64_t PoolClosures::*;
    /// Why it is not to be used again; null: it may be.
    [[nodiscard]] Reason worn_out(const Slot& slot, TimePoint now) const;
    /// A connection that is free and fit, without waiting and without overtaking; else none. Nobody is its holder yet.
    /// After `require_loop`.
    [[nodiscard]] Lease take_now();
    /// Opens one more, where there may be more, for whoever comes.
    void grow_ahead();
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_count_; }
    /// All connections are free, and there are two at least: whoever comes next finds one as well.
    [[nodiscard]] bool nobody_there() const noexcept { return idle_.size() > 1 && idle_.size() == slots_.size(); }
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    [[noreturn]] void throw_timeout(Duration waited) const;

private:
    friend AcquireWait;
    struct WorkGuard;
    class HolderWaits;

    [[nodiscard]] Coro<Lease> acquire_now(std::source_location where);
    [[nodiscard]] Coro<Lease> acquire_slowly(Lease lease);
    [[nodiscard]] Coro<bool> answers(Link& link) const;
    [[nodiscard]] bool needs_ping(const Slot& slot) const;
    /// Those that nobody has used since: one of them was silent.
    void lose_idle(TimePoint since) noexcept;
    [[nodiscard]] Slot* take_idle(TimePoint now);
    /// All connections are held by tasks that wait for another one.
    [[nodiscard]] bool deadlocked() const noexcept;
    void start_cleaning(Slot& slot);
    void warn_of(const Slot& slot) const noexcept;

    void grow();
    [[nodiscard]] Slot& add_slot();
    /// False: there was no memory, and the slot is gone.
    bool start(Slot& slot, Coro<> (*work)(WorkGuard));
    [[nodiscard]] static Coro<> open(WorkGuard work);
    [[nodiscard]] static Coro<> clean(WorkGuard work);
    void opened(Slot& slot, std::unique_ptr<Link> link);
    [[nodiscard]] TimePoint lifetime_end(const Link& link) const;
    void open_failed(const std::exception_ptr& failure);
    void retry_later();
    void offer(Slot& slot);
    void take_back(Slot& slot) noexcept;
    void remove(Slot& slot, Reason reason) noexcept;
    /// What was opened before is not used again.
    void begin_era() noexcept;
    /// One that is misplaced goes, and so do those that were opened before that was known.
    void relocate(Slot& slot) noexcept;
    void fail_waiters(const std::exception_ptr& failure) noexcept;
    void keep_house();
    void arm_housekeeping();
    [[nodiscard]] bool loop_alive() const noexcept;
    [[nodiscard]] std::size_t count(Slot::State state) const noexcept;
    void shut();

    std::shared_ptr<Connector> connector_;
    std::shared_ptr<Observer> observer_;
    PoolValues values_;
    Duration cancel_timeout_;
    NoticeHandler warn_;
    coaio::detail::LoopCore* core_ = nullptr;
    coaio::detail::LoopBinding binding_;
    std::list<Slot> slots_;
    std::vector<Slot*> idle_;  // the last one was used last
    coaio::detail::WaitList waiting_;
    std::size_t waiting_count_ = 0;
    std::size_t opening_ = 0;
    std::size_t at_once_;  // how many may be opened at the same time: one after a failure, then more
    bool backing_off_ = false;
    std::uint32_t failures_ = 0;
    std::string last_failure_;
    std::uint64_t era_ = 0;
    bool closed_ = false;
    Event drained_;
    std::optional<TimerHandle> housekeeping_;
    std::optional<TimerHandle> retry_;
    PoolStats totals_;
};

}  // namespace coaio::db::detail
