// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include <coaio/core/io.hpp>

#include <utility>

namespace coaio::db::detail {

void PqLink::enter_lane() {
    Use use(*this);
    begin_pipeline();
    in_flight_ = syncs_ > 0;
    if (in_flight_) lane_.emplace_back().deallocation = true;
    flow_sql_.clear();
    flowing_ = true;
    use.keep();
    for (const std::string& each : statements_.take_dropped()) {
        session_->send_query("deallocate " + each, {}, Format::text);
        session_->send_sync();
        ++syncs_;
        lane_.emplace_back().deallocation = true;
        start();
    }
}

void PqLink::lane_send(const std::string& sql, const Params& params, Format results) {
    const std::string key = Statements::key(sql, params);
    std::string name;
    if (const Prepared* const known = statements_.find(key)) name = known->name;
    for (const LaneSent& each : lane_) {
        if (each.fresh && each.fresh->key == key) name = each.fresh->name;
    }
    LaneSent sent;
    start();
    if (name.empty()) {
        name = statements_.next_name();
        sent.fresh.emplace();
        sent.fresh->key = key;
        sent.fresh->name = name;
        sent.fresh->results = results;
        session_->send_prepare(name, sql, params.types());
    }
    session_->send_prepared(name, params, results);
    session_->send_sync();
    ++syncs_;
    lane_.push_back(std::move(sent));
}

Coro<PqLink::LaneAnswer> PqLink::lane_answer() {
    std::exception_ptr failure;
    try {
        co_await skip_deallocations();
        LaneAnswer answer = co_await lane_segment();
        LaneSent sent = std::move(lane_.front());
        lane_.pop_front();
        if (sent.fresh && answer.prepared) statements_.keep(std::move(*sent.fresh));
        co_return answer;
    } catch (...) {
        failure = std::current_exception();
    }
    std::vector<std::string> doubtful;
    for (LaneSent& each : lane_) {
        if (each.fresh) doubtful.push_back(std::move(each.fresh->name));
    }
    lane_.clear();
    statements_.drop_later(std::move(doubtful));
    co_await recover(OnCancel::stop);
    flowing_ = in_use_ = false;
    std::rethrow_exception(judge(std::move(failure), flow_sql_));
}

Coro<> PqLink::skip_deallocations() {
    while (!lane_.empty() && lane_.front().deallocation) {
        [[maybe_unused]] const LaneAnswer ignored = co_await lane_segment();
        lane_.pop_front();
    }
}

Coro<PqLink::LaneAnswer> PqLink::lane_segment() {
    LaneAnswer answer;
    int ends = 0;
    for (;;) {
        while (session_->busy()) {
            const bool writable = !session_->flush();
            const auto ready = co_await io::wait_ready(session_->socket(), {.readable = true, .writable = writable});
            if (ready.readable) consume();
        }
        auto result = session_->next_result();
        if (!result) {
            if (++ends > 2) throw_out_of_step();
            continue;
        }
        ends = 0;
        const pq::Kind kind = result->kind();
        if (kind == pq::Kind::sync) break;
        if (kind == pq::Kind::error) {
            ErrorFields fields = failure_of(*result, flow_sql_);
            if (!answer.failure) answer.failure = std::move(fields);
        } else if (kind == pq::Kind::copy_in || kind == pq::Kind::copy_out || kind == pq::Kind::other) {
            throw_out_of_step();
        } else if (kind != pq::Kind::aborted) {
            answer.prepared = true;
            answer.rows = std::move(*result).take_rows(Outcome::committed, types_);
        }
    }
    in_flight_ = --syncs_ > 0;
    collect_notifications();
    co_return answer;
}

Coro<> PqLink::leave_lane() {
    std::exception_ptr failure;
    try {
        co_await skip_deallocations();
        session_->exit_pipeline();
    } catch (...) {
        failure = std::current_exception();
    }
    lane_.clear();
    if (failure) co_await recover(OnCancel::wait);
    flowing_ = in_use_ = false;
    if (failure) std::rethrow_exception(failure);
}

std::optional<Format> PqLink::format_of(const std::string& sql, const Params& params) {
    if (!statements_.wants(sql)) return std::nullopt;
    const Prepared* const known = statements_.find(Statements::key(sql, params));
    if (known == nullptr) return std::nullopt;
    // On another connection nothing is known yet of types that users made.
    return known->user_types ? Format::text : known->results;
}

}  // namespace coaio::db::detail
