// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include <coaio/core/io.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

void PqLink::enter_lane() {
    Use use(*this);
    lane_.clear();
    begin_pipeline();
    in_flight_ = syncs_ > 0;
    if (in_flight_) lane_.emplace_back().asked = false;
    flow_sql_.clear();
    flowing_ = true;
    use.keep();
    drop_in_lane();
}

void PqLink::drop_in_lane() {
    std::vector<std::string> dropped = statements_.take_dropped();
    if (dropped.empty()) return;
    NamesInDoubt unsent(statements_, dropped);
    start();
    for (std::string& each : dropped) {
        session_->send_query("deallocate " + each, {}, Format::text);
        session_->send_sync();
        ++syncs_;
        LaneSent& sent = lane_.emplace_back();
        sent.asked = false;
        sent.dropped = std::move(each);
    }
    unsent.clear();
}

void PqLink::lane_send(const std::string& sql, const Params& params) {
    drop_in_lane();
    start();
    LaneSent sent;
    if (const Prepared* const known = statements_.find(sql, params)) {
        session_->send_prepared(known->name, params, known->results);
    } else {
        const std::string key = Statements::key(sql, params);
        const auto same = [&key](const LaneSent& each) { return each.fresh && each.fresh->key == key; };
        const auto before = std::find_if(lane_.rbegin(), lane_.rend(), same);
        std::string name;
        if (before != lane_.rend()) {
            name = before->fresh->name;
        } else {
            name = statements_.next_name();
            sent.fresh.emplace();
            sent.fresh->key = key;
            sent.fresh->name = name;
            session_->send_prepare(name, sql, params.types());
            session_->send_describe(name);
        }
        // Its columns are not known yet, and text is read as well.
        session_->send_prepared(name, params, Format::text);
    }
    if (turn_end_) session_->hold_back();
    session_->send_sync();
    ++syncs_;
    lane_.push_back(std::move(sent));
    send_together();
}

// The first statement of a turn goes at once, so that the server has something to do; the others follow in one piece.
// What does not go then goes with the next answer that is waited for: the server reads no further before.
void PqLink::send_together() {
    if (turn_end_) return;
    static_cast<void>(session_->flush());
    turn_end_ = get_running_loop().call_soon([this] {
        turn_end_.reset();
        session_->let_go();
        try {
            static_cast<void>(session_->flush());
        } catch (const ConnectionError&) {  // whoever waits for an answer finds out
        }
    });
}

Coro<LaneLink::Answer> PqLink::lane_answer() {
    if (lane_.front().asked) return lane_segment();
    return next_asked();
}

Coro<LaneLink::Answer> PqLink::next_asked() {
    while (!lane_.front().asked) static_cast<void>(co_await lane_segment());
    co_return co_await lane_segment();
}

Coro<LaneLink::Answer> PqLink::lane_segment() {
    Answer answer;
    LaneSent& sent = lane_.front();
    int before_its_own = sent.fresh ? 2 : 0;  // that it is prepared, and its columns
    for (;;) {
        auto result = arrived();
        while (!result) {
            const bool writable = !session_->flush();
            const auto ready = co_await io::wait_ready(session_->socket(), {.readable = true, .writable = writable});
            if (ready.readable) consume();
            result = arrived();
        }
        const pq::Kind kind = result->kind();
        if (kind == pq::Kind::sync) break;
        if (kind == pq::Kind::error) {
            ErrorFields fields = failure_of(*result, flow_sql_);
            if (!answer.failure) answer.failure = std::move(fields);
        } else if (kind == pq::Kind::copy_in || kind == pq::Kind::copy_out || kind == pq::Kind::other) {
            throw_out_of_step();
        } else if (kind != pq::Kind::aborted) {
            if (before_its_own == 0) {
                answer.rows = std::move(*result).take_rows(Outcome::committed, types_);
            } else if (--before_its_own == 0) {
                set_format(*sent.fresh, result->column_types());
            }
        }
    }
    if (sent.fresh && before_its_own == 0) statements_.keep(std::move(*sent.fresh));
    lane_.pop_front();
    in_flight_ = --syncs_ > 0;
    collect_notifications();
    co_return answer;
}

// Each was prepared: where it is not kept any more, one in front was stale too, or was to prepare it and failed.
bool PqLink::lane_stale(const std::string& sql, const Params& params, const std::exception_ptr& failure) {
    static_cast<void>(forget_stale(sql, params, failure));
    return is_stale(failure);
}

Coro<> PqLink::leave_lane() {
    while (!lane_.empty()) static_cast<void>(co_await lane_segment());
    session_->exit_pipeline();
    flowing_ = in_use_ = false;
}

Coro<std::exception_ptr> PqLink::end_lane(std::exception_ptr failure) {
    std::vector<std::string> doubtful;
    for (LaneSent& each : lane_) {
        if (each.fresh) doubtful.push_back(std::move(each.fresh->name));
        if (!each.dropped.empty()) doubtful.push_back(std::move(each.dropped));
    }
    lane_.clear();
    statements_.drop_later(std::move(doubtful));
    co_await recover(OnCancel::stop);
    flowing_ = in_use_ = false;
    co_return judge(std::move(failure), flow_sql_);
}

}  // namespace coaio::db::detail
