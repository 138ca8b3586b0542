// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include <coaio/core/io.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {
namespace {

constexpr std::size_t most_open_bytes = 4096;

}  // namespace

/// Lets a wait pass over what is less than so many bytes, for a while.
class PqLink::Patience {
public:
    Patience(PqLink& link, std::size_t bytes) {
        link.session_->wake_at(bytes);
        if (bytes == 1) return;
        end_ = get_running_loop().call_later(Gathering::longest, [&link] {
            link.gathering_.in_vain();
            link.session_->wake_at(1);
        });
    }
    Patience(const Patience&) = delete;
    Patience& operator=(const Patience&) = delete;
    ~Patience() {
        if (end_) end_->cancel();
    }

private:
    std::optional<TimerHandle> end_;
};

void PqLink::enter_lane(bool shares_sync) {
    Use use(*this);
    lane_.clear();
    lane_read_ = lane_ended_ = lane_bytes_ = 0;
    lane_failure_.reset();
    begin_pipeline();
    if (syncs_ > 0) {
        LaneSent& before = lane_.emplace_back();
        before.asked = false;
        before.ends = true;
    }
    lane_kept_ = 0;
    lane_shares_ = shares_sync;
    in_flight_ = !lane_.empty();
    flow_sql_.clear();
    flowing_ = true;
    use.keep();
}

// What shares a Sync was all asked before any of it can go: libpq sends by itself what is more than 8 kB.
PqLink::LaneSent& PqLink::lane_add(std::size_t bytes) {
    LaneSent& sent = lane_.emplace_back();
    if (session_->holds_back()) ++lane_kept_;
    lane_bytes_ += bytes;
    if (!lane_shares_) {
        lane_end_segment();
    } else if (lane_bytes_ > most_open_bytes || session_->sends_early()) {
        lane_push();
    }
    return sent;
}

bool PqLink::lane_open() const noexcept { return !lane_.empty() && !lane_.back().ends; }

void PqLink::lane_end_segment() {
    if (!lane_open()) return;
    lane_.back().ends = true;
    lane_bytes_ = 0;
    session_->send_sync();
    ++syncs_;
}

bool PqLink::lane_shares_next() const noexcept {
    const auto next = std::find_if(lane_.begin(), lane_.end(), [](const LaneSent& each) { return each.asked; });
    return next != lane_.end() && !next->ends;
}

void PqLink::drop_in_lane() {
    if (!statements_.has_dropped()) return;
    std::vector<std::string> dropped = statements_.take_dropped();
    NamesInDoubt unsent(statements_, dropped);
    start();
    for (std::string& each : dropped) {
        lane_end_segment();
        session_->send_query("deallocate " + each, {}, Format::text);
        LaneSent& sent = lane_add(0);
        sent.asked = false;
        sent.named = std::make_unique<Prepared>();
        sent.named->name = std::move(each);
    }
    lane_end_segment();
    unsent.clear();
}

void PqLink::lane_send(const std::string& sql, const Params& params) {
    if (!lane_shares_) session_->hold_back();
    drop_in_lane();
    start();
    std::unique_ptr<Prepared> fresh;
    if (const Prepared* const known = statements_.find(sql, params)) {
        session_->send_prepared(known->name, params, known->results);
    } else {
        const std::string key = Statements::key(sql, params);
        const auto same = [&key](const LaneSent& each) {
            return each.named && each.named->key == key && (each.prepared || each.due > 1);
        };
        const auto before = std::find_if(lane_.rbegin(), lane_.rend(), same);
        std::string name;
        if (before != lane_.rend()) {
            name = before->named->name;
        } else {
            name = statements_.next_name();
            fresh = std::make_unique<Prepared>();
            fresh->key = key;
            fresh->name = name;
            session_->send_prepare(name, sql, params.types());
            session_->send_describe(name);
        }
        // Its columns are not known yet, and text is read as well.
        session_->send_prepared(name, params, Format::text);
    }
    std::size_t bytes = 128 + (fresh ? 2 * sql.size() : 0);
    for (std::size_t i = 0; i < params.size(); ++i) bytes += 16 + params.slot(i).length;
    LaneSent& sent = lane_add(bytes);
    if (fresh) sent.due = 3;
    sent.named = std::move(fresh);
    sent.types = types_;
    if (lane_due()) lane_push_later();
}

// What is asked in one turn of the loop goes at its end. While a server nearby has something to do it is kept, until it
// is as much as what is still to be answered: then the server has it before it has done the rest, and each piece is as
// large as can be.
bool PqLink::lane_due() {
    if (lane_open()) return true;
    if (lane_kept_ == 0) return false;
    return lane_kept_ >= lane_.size() - lane_kept_ || !lane_near();
}

bool PqLink::lane_near() {
    if (!near_) near_ = session_->near();
    return *near_;
}

// From far away answers come together by themselves. On a virtual clock time would stand still meanwhile.
bool PqLink::lane_gathers() {
    return lane_near() && session_->counts_bytes() && !get_running_loop().has_virtual_time();
}

void PqLink::lane_push() {
    lane_end_segment();
    lane_kept_ = 0;
    session_->let_go();
    static_cast<void>(session_->flush());  // the rest goes with the next answer that is waited for
}

/// Whoever waits for an answer finds out.
void PqLink::lane_try_push() noexcept {
    try {
        lane_push();
    } catch (...) {
        close();
    }
}

void PqLink::lane_push_later() {
    if (turn_end_) return;
    turn_end_ = get_running_loop().call_soon([this] {
        turn_end_.reset();
        lane_try_push();
    });
}

std::optional<LaneLink::Answer> PqLink::lane_take() {
    for (;;) {
        while (lane_ended_ == 0) {
            auto result = lane_.empty() ? std::nullopt : arrived();
            if (!result) return std::nullopt;
            lane_read(std::move(*result));
        }
        LaneSent first = std::move(lane_.front());
        lane_.pop_front();
        --lane_read_;
        --lane_ended_;
        lane_kept_ = std::min(lane_kept_, lane_.size());
        Answer answer;
        answer.rows = std::move(first.rows);
        if (first.failed) answer.failure = std::exchange(lane_failure_, std::nullopt);
        answer.undone = first.undone;
        answer.unmet = unmet(answer.rows);
        while (!first.ends && !lane_[answer.further++].ends) {}
        if (!first.asked) continue;
        if (first.prepared) statements_.keep(std::move(*first.named));
        return answer;
    }
}

void PqLink::lane_read(pq::Result result) {
    const pq::Kind kind = result.kind();
    if (kind == pq::Kind::sync) return lane_segment_ended();
    const bool all = lane_read_ == lane_.size() || (lane_read_ > lane_ended_ && lane_[lane_read_ - 1].ends);
    LaneSent& sent = lane_[all ? lane_read_ - 1 : lane_read_];
    if (kind == pq::Kind::error) {
        ErrorFields fields = failure_of(result, flow_sql_);
        if (!lane_failure_) {
            lane_failure_ = std::move(fields);
            sent.failed = true;
        }
        if (all) return;  // it is the end of their transaction that failed
    } else if (all || pq::begins_copy(kind)) {
        throw_out_of_step();
    }
    --sent.due;
    if (kind != pq::Kind::error && kind != pq::Kind::aborted) {
        if (sent.due == 1) {
            set_format(*sent.named, result.column_types());
            sent.prepared = true;
        } else if (sent.due == 0) {
            sent.rows = std::move(result).take_rows(Outcome::committed, sent.types);
        }
    }
    if (sent.due == 0) ++lane_read_;
}

// What shared a Sync was one transaction.
void PqLink::lane_segment_ended() {
    std::size_t end = lane_ended_;
    while (end < lane_.size() && !lane_[end++].ends) {}
    if (end == lane_ended_) throw_out_of_step();
    if (lane_failure_ && end - lane_ended_ > 1) {
        for (std::size_t i = lane_ended_; i < end; ++i) lane_[i].undone = true;
    }
    lane_read_ = lane_ended_ = end;
    in_flight_ = end < lane_.size();
    --syncs_;
    gathering_.answered();
    collect_notifications();
}

Coro<> PqLink::lane_wait() {
    if (lane_due()) {
        co_await sleep(Duration::zero());  // who has its answer now may ask again
        lane_try_push();
        co_return;
    }
    const bool writable = !session_->flush();
    const bool gathers = !writable && !lane_shares_ && lane_gathers();
    const Patience patience(*this, gathers ? gathering_.bytes_of(lane_.size() - lane_kept_) : 1);
    const auto ready = co_await io::wait_ready(session_->socket(), {.readable = true, .writable = writable});
    if (lane_open()) lane_push();  // reading sends what there is
    if (ready.readable) {
        const std::size_t before = gathers && gathering_.counting() ? session_->at_hand() : 0;
        consume();
        if (before > 0) gathering_.came(before - std::min(before, session_->at_hand()));
    }
    if (!session_->holds_back()) lane_kept_ = 0;
}

// Each was prepared: where it is not kept any more, one in front was stale too, or was to prepare it and failed.
bool PqLink::lane_stale(const std::string& sql, const Params& params, const std::exception_ptr& failure) {
    static_cast<void>(forget_stale(sql, params, failure));
    return is_stale(failure);
}

void PqLink::lane_let_go() noexcept {
    if (turn_end_) turn_end_->cancel();
    turn_end_.reset();
    if (session_ && lane_open()) lane_try_push();
    lane_kept_ = 0;
    if (!session_) return;
    session_->let_go();
    session_->wake_at(1);
}

Coro<> PqLink::leave_lane() {
    lane_let_go();
    while (!lane_.empty()) {
        static_cast<void>(lane_take());
        if (!lane_.empty()) co_await lane_wait();
    }
    session_->wake_at(1);
    session_->exit_pipeline();
    flowing_ = in_use_ = false;
}

Coro<std::exception_ptr> PqLink::end_lane(std::exception_ptr failure) {
    std::vector<std::string> doubtful;
    for (LaneSent& each : lane_) {
        if (each.named) doubtful.push_back(std::move(each.named->name));
    }
    lane_let_go();
    lane_.clear();
    statements_.drop_later(std::move(doubtful));
    co_await recover(OnCancel::stop);
    flowing_ = in_use_ = false;
    co_return judge(std::move(failure), flow_sql_);
}

}  // namespace coaio::db::detail
