// SPDX-License-Identifier: MIT
#pragma once

#include "gathering.hpp"
#include "lane_link.hpp"
#include "libpq.hpp"
#include "link.hpp"
#include "running.hpp"
#include "statements.hpp"
#include "target.hpp"
#include "watch.hpp"

#include <coaio/db/batch.hpp>
#include <coaio/db/listener.hpp>
#include <coaio/db/options.hpp>

#include <coaio/core/detail/kept_watch.hpp>
#include <coaio/core/detail/wait_list.hpp>
#include <coaio/core/handle.hpp>
#include <coaio/core/semaphore.hpp>

#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::db::detail {

[[noreturn]] void throw_out_of_step();
/// What the server had prepared has changed, or is gone.
[[nodiscard]] bool is_stale(const std::exception_ptr& failure);
/// That it failed, as stale, leaves no doubt that nothing of it stands.
[[nodiscard]] bool may_repeat(const std::string& sql, const std::exception_ptr& failure);
/// The server takes parameters that stand nowhere in the statement, where their types are declared.
void refuse_surplus(std::string_view sql, const Params& params);
class RunRows;

/// Whether it is the tag of a command after which the session has no prepared statements.
[[nodiscard]] bool drops_statements(std::string_view tag) noexcept;

/// A link over libpq. Its socket is registered with the loop by level (LPQ-01).
class PqLink final : public Link, public LaneLink {
public:
    /// `session` is connected; `cancels` limits how many cancel requests are on their way from one pool.
    PqLink(std::unique_ptr<pq::Session> session, const ConnectValues& options,
           std::shared_ptr<Semaphore> cancels = std::make_shared<Semaphore>());
    ~PqLink() override;

    Coro<Rows> run(const std::string& sql, const Params& params) override;
    Coro<Rows> command(std::string sql, OnCancel on_cancel) override;
    Coro<> reset() override;
    [[nodiscard]] PqLink* libpq() noexcept override { return this; }
    [[nodiscard]] LaneLink* lane() noexcept override { return this; }
    [[nodiscard]] LinkState state() const noexcept override;
    /// What kind of server it was connected to, perhaps for want of a better one.
    void serve_as(Target target, bool second_choice) noexcept {
        target_ = target;
        second_choice_ = second_choice;
    }
    [[nodiscard]] bool misplaced() const noexcept override;
    [[nodiscard]] bool cancels_by_closing() const noexcept { return cancel_by_closing_; }
    [[nodiscard]] bool second_choice() const noexcept override { return second_choice_; }
    [[nodiscard]] bool alive(TimePoint now) noexcept override;
    void close() noexcept override;
    [[nodiscard]] int pid() const noexcept override { return pid_; }
    [[nodiscard]] int server_version() const noexcept override { return version_; }
    [[nodiscard]] std::string parameter(const std::string& name) const override;

    [[nodiscard]] bool tainted() const noexcept override { return listens_; }
    void keep_notifications() noexcept override { keeps_notifications_ = true; }
    Coro<> hear() override;
    [[nodiscard]] std::deque<Notification> take_heard() override { return std::exchange(heard_, {}); }

    /// Without a prepared statement. Arguments must outlive it, as in all of these.
    [[nodiscard]] Coro<Rows> run_once(const std::string& sql, const Params& params, Format results);
    /// Makes a cursor; gives the format in which its rows should be fetched.
    [[nodiscard]] Coro<Format> declare(const std::string& name, bool scroll, const std::string& sql,
                                       const Params& params);
    [[nodiscard]] std::string next_cursor() { return "coaio_cursor_" + std::to_string(++cursors_); }
    /// All in one pipeline with one Sync.
    [[nodiscard]] Coro<BatchAnswers> run_batch(const std::vector<Batch::Statement>& statements);
    /// One statement with each of these, in a pipeline, with a Sync for each.
    [[nodiscard]] Coro<BatchAnswers> run_each(const std::string& sql, const std::vector<Params>& all);

    // What takes several steps: after `begin_…` the link is busy, `flowing`, until the last step, a step that fails, or
    // `leave`.

    [[nodiscard]] Coro<> begin_rows(const std::string& sql, const Params& params);
    /// The rows that have come; nullopt at the end.
    [[nodiscard]] Coro<std::optional<Rows>> next_rows();
    struct CopyShape {
        std::size_t columns;
        bool binary;
    };
    enum class CopyWay : unsigned char { to_server, from_server };
    [[nodiscard]] Coro<CopyShape> begin_copy(const std::string& sql, CopyWay way);
    [[nodiscard]] Coro<> put_copy(std::string_view bytes);
    [[nodiscard]] Coro<std::uint64_t> end_copy();
    [[nodiscard]] Coro<std::optional<std::string>> next_copy();
    [[nodiscard]] bool flowing() const noexcept { return flowing_; }
    /// Goes away in the middle; what is under way is ended before the next use.
    void leave() noexcept;
    Coro<> settle() override;

    void enter_lane(bool shares_sync) override;
    void lane_send(const std::string& sql, const Params& params) override;
    [[nodiscard]] std::optional<Answer> lane_take() override;
    Coro<> lane_wait() override;
    [[nodiscard]] bool lane_shares_next() const noexcept override;
    Coro<> leave_lane() override;
    Coro<std::exception_ptr> end_lane(std::exception_ptr failure) override;
    [[nodiscard]] bool lane_stale(const std::string& sql, const Params& params,
                                  const std::exception_ptr& failure) override;

    /// By a scope or by a statement of the user's.
    [[nodiscard]] bool in_transaction() const noexcept;

private:
    class Use;
    class Patience;
    struct LaneSent {
        std::unique_ptr<Prepared> named;  // on the way: prepared, or dropped where nobody asked
        int due = 1;                      // results: that it is prepared, its columns, and its own
        bool asked = true;                // somebody waits for the answer
        bool ends = false;                // a Sync follows
        bool prepared = false;
        bool failed = false;                     // `lane_failure_` is its
        bool undone = false;                     // with others under its Sync, one of which failed
        std::shared_ptr<const UserTypes> types;  // that were known when it was asked for in their form
        Rows rows;
    };

    [[nodiscard]] Coro<Rows> run_now(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<BatchAnswers> run_batch_now(const std::vector<Batch::Statement>& statements);
    [[nodiscard]] Coro<> prepare_now(const std::string& key, const std::string& name, const std::string& sql,
                                     const Params& params);
    [[nodiscard]] Coro<> begin_rows_now(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<CopyShape> begin_copy_now(const std::string& sql, CopyWay way);
    /// Tells of a flow, to whose end `watch_` stays.
    template <class T>
    [[nodiscard]] Coro<T> watched_flow(Operation operation, const std::string& sql, Coro<T> begin);
    void end_watch(const std::exception_ptr& failure = nullptr) noexcept;

    /// Runs one turn: what `start()` gives.
    template <class T, class F>
    [[nodiscard]] Coro<T> turn(F start, const std::string& sql);
    /// A turn that goes on after it, or ends the flow.
    template <class T>
    [[nodiscard]] Coro<T> flow_step(Coro<T> work);
    [[nodiscard]] Coro<> end_unread();
    [[nodiscard]] Coro<> describe_once(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<> first_row(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<std::optional<Rows>> collect_rows();
    [[nodiscard]] Coro<CopyShape> enter_copy(const std::string& sql, CopyWay way);
    [[nodiscard]] Coro<bool> push_copy(std::string_view bytes);
    [[nodiscard]] Coro<std::uint64_t> close_copy();
    [[nodiscard]] Coro<std::optional<std::string>> pull_copy();
    [[nodiscard]] Coro<> skip_copy();
    [[nodiscard]] Coro<> give_up_copy();
    [[nodiscard]] Coro<Rows> execute_once(const std::string& sql, const Params& params, Format results);
    [[nodiscard]] Coro<Format> open_cursor(const std::string& command, const std::string& name, const Params& params);
    [[nodiscard]] Coro<BatchAnswers> execute_batch(const std::vector<Batch::Statement>& statements);
    void begin_pipeline();
    /// The next result of a pipeline, past the ends of statements; none where more has to come first.
    [[nodiscard]] std::optional<pq::Result> arrived();
    [[nodiscard]] Coro<std::optional<pq::Result>> pipeline_result();
    /// Of what cannot be a COPY.
    [[nodiscard]] Coro<pq::Result> own_result();
    [[nodiscard]] Coro<BatchAnswers> run_each_now(const std::string& sql, const std::vector<Params>& all);
    [[nodiscard]] Coro<> execute_each(const std::string& sql, const std::vector<Params>& all,
                                      const std::vector<std::size_t>& due, const std::shared_ptr<RunRows>& rows,
                                      BatchAnswers& answers);
    void send_some(const std::string& sql, const std::vector<Params>& all, std::span<const std::size_t> which,
                   bool keeps, bool alike);
    [[nodiscard]] bool take_answer(const std::string& sql, std::size_t run, const std::shared_ptr<RunRows>& rows,
                                   BatchAnswers& answers);
    [[nodiscard]] ErrorFields failure_of(const pq::Result& result, const std::string& sql);

    /// Looks up those that users made, where they were not met before.
    [[nodiscard]] Coro<> learn_types(std::vector<Oid> columns);
    /// Ends a pipeline in which `sql` was described, looks up the types of its columns, and gives these.
    [[nodiscard]] Coro<std::vector<Oid>> end_described(const std::string& sql);
    /// Whether there are such among the columns of what came as text without being described before.
    [[nodiscard]] bool unmet(const Rows& rows) const noexcept;
    /// Looks them up, so that rows are read as where they were described. The statement has run: nothing is an error.
    [[nodiscard]] Coro<> learn_types_of(std::vector<Rows> answers);
    /// The format to ask for, since libpq asks for one for all columns.
    [[nodiscard]] Format format_for(const std::vector<Oid>& columns) const;
    void set_format(Prepared& statement, const std::vector<Oid>& columns) const;

    /// False where it has to be prepared first.
    [[nodiscard]] bool send_at_once(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<> prepare_and_send(const std::string& sql, const Params& params);
    /// The statement in the cache, prepared if need be.
    [[nodiscard]] Coro<const Prepared*> prepared(const std::string& sql, const Params& params);
    [[nodiscard]] Coro<> prepare(const std::string& key, const std::string& name, const std::string& sql,
                                 const Params& params);
    [[nodiscard]] Coro<Rows> answer(const std::string& sql);
    /// What an answer has brought so far.
    struct Reply {
        Rows rows;
        std::exception_ptr failure;
    };
    /// Reads what has come; true at the end, where it throws the failure.
    [[nodiscard]] bool read_on(Reply& reply, const std::string& sql);
    [[nodiscard]] Coro<> flush();
    [[nodiscard]] Coro<> await_result();
    [[nodiscard]] Coro<> recover(OnCancel on_cancel);
    [[nodiscard]] Coro<> quieten(OnCancel on_cancel);
    [[nodiscard]] Coro<> drain();

    void drop_in_lane();
    [[nodiscard]] LaneSent& lane_add(std::size_t bytes);
    // A segment: the statements under one Sync.
    [[nodiscard]] bool lane_open() const noexcept;
    void lane_end_segment();
    void lane_read(pq::Result result);
    void lane_segment_ended();
    /// Whether a statement that was kept prepared failed because it is stale or gone, and may run again; it is forgotten
    /// then.
    [[nodiscard]] bool forget_stale(const std::string& sql, const Params& params, const std::exception_ptr& failure);
    [[nodiscard]] std::exception_ptr judge(std::exception_ptr failure, const std::string& sql) const;
    [[nodiscard]] bool lane_due();
    [[nodiscard]] bool lane_near();
    [[nodiscard]] bool lane_gathers();
    void lane_push();
    void lane_try_push() noexcept;
    void lane_push_later();
    void lane_let_go() noexcept;
    void start() noexcept { in_flight_ = sent_ = true; }
    void leave_loop() noexcept;
    void end() noexcept;
    [[nodiscard]] bool only_reads() const;
    /// A server that only reads is not asked to write twice.
    void note_refusal(const ErrorFields& failure) noexcept;
    [[noreturn]] void refuse_encoding();
    void consume();
    void look();
    void collect_notifications();
    /// What a command that was done means for the session.
    void note_command(std::string_view tag);
    void note_listen(std::string_view tag) noexcept;
    /// Since the loop last looked outside, and that is no time ago.
    [[nodiscard]] bool just_read(TimePoint now) const noexcept;

    coaio::detail::LoopBinding binding_;
    std::unique_ptr<pq::Session> session_;
    std::optional<coaio::detail::KeptWatch> registration_;  // of its socket, and goes first (LPQ-02)
    std::shared_ptr<Semaphore> cancels_;
    Statements statements_;
    std::shared_ptr<const UserTypes> types_;  // of users, that were met; null before
    Duration cancel_timeout_;
    bool cancel_by_closing_;
    Target target_ = Target::any;
    bool second_choice_ = false;
    bool refused_to_write_ = false;
    bool in_use_ = false;
    bool in_flight_ = false;       // sent, and not answered to the end
    bool sent_ = false;            // of the statement in hand
    bool partly_ = false;          // some of it stands already, whatever becomes of the rest
    bool decisive_ = false;        // the statement in hand ends a transaction, one way or the other
    bool in_transaction_ = false;  // when the statement in hand began
    bool only_reads_ = false;      // what ran last, by the session's settings
    bool told_to_go_ = false;      // the server announced the session's end
    ErrorFields farewell_;         // in these words
    bool keeps_notifications_ = false;
    bool listens_ = false;  // by its user's LISTEN
    bool flowing_ = false;
    bool single_rows_ = false;  // libpq's mode, which it leaves only with a later statement
    bool unread_ = false;
    bool unread_inside_ = false;  // of a transaction
    bool copying_in_ = false;
    bool copying_out_ = false;
    std::optional<pq::Result> held_;  // of a flow: read, and not given yet
    std::string flow_sql_;
    std::uint64_t cursors_ = 0;
    bool lane_shares_ = false;    // those that go together have one Sync
    std::deque<LaneSent> lane_;   // whose answers were not taken
    std::size_t lane_kept_ = 0;   // the last of them, which have not gone yet
    std::size_t lane_read_ = 0;   // the first of them, whose results have come
    std::size_t lane_ended_ = 0;  // the first of these, and so has their Sync
    std::size_t lane_bytes_ = 0;  // of those that have no Sync yet, about
    std::optional<ErrorFields> lane_failure_;
    Gathering gathering_;             // of the answers
    std::optional<bool> near_;        // to the server
    std::optional<Handle> turn_end_;  // what is kept goes
    std::deque<Notification> heard_;
    std::shared_ptr<Observer> observer_;
    std::unique_ptr<Watch> watch_;  // of a flow
    int syncs_ = 0;                 // of a pipeline, not answered yet
    TimePoint read_{};              // when the loop had last looked outside, as the last answer ended
    int pid_;
    int version_;
};

/// One statement's turn at the link.
class PqLink::Use {
public:
    explicit Use(PqLink& link);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
        if (link_ != nullptr) link_->in_use_ = false;
    }
    /// It stays in use.
    void keep() noexcept { link_ = nullptr; }

private:
    PqLink* link_;
};

template <class T, class F>
Coro<T> PqLink::turn(F start, const std::string& sql) {
    if (cancellation_due()) co_await throw_if_cancelled();
    const Use use(*this);
    const Running running(pid_, sql);
    if (unread_) co_await end_unread();
    std::exception_ptr failure;
    try {
        co_return co_await start();
    } catch (...) {
        failure = std::current_exception();
    }
    co_await recover(OnCancel::stop);
    std::rethrow_exception(judge(std::move(failure), sql));
}

}  // namespace coaio::db::detail
