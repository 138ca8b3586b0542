// SPDX-License-Identifier: MIT
#include "connection.hpp"

#include "encode.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/http/error.hpp>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace coaio::http::detail {

namespace {

constexpr std::size_t first_capacity = 4 * 1024;
constexpr std::size_t least_room = 512;
constexpr std::size_t body_capacity = 64 * 1024;
constexpr std::size_t kept_out = 64 * 1024;
constexpr std::size_t slice = 128 * 1024;  // of one write, which has one deadline
constexpr std::size_t linger_bytes = 1024 * 1024;
constexpr Duration linger_time = std::chrono::seconds(2);

/// True while it lives.
class Flag {
public:
    explicit Flag(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    Flag(const Flag&) = delete;
    Flag& operator=(const Flag&) = delete;
    ~Flag() { flag_ = false; }

private:
    bool& flag_;
};

}  // namespace

Duration ConnectionTimes::shortest() const noexcept {
    Duration shortest = Duration::max();
    for (const Duration each : {idle, head, body, write, linger_time}) {
        if (each > Duration::zero()) shortest = std::min(shortest, each);
    }
    return shortest;
}

Connection::Connection(net::Stream stream, Side side, const DecodeLimits& limits, const ConnectionTimes& times)
    : stream_(std::move(stream)),
      decoder_(side, limits),
      deadlines_(times.shortest()),
      times_(times),
      memory_(std::make_unique_for_overwrite<char[]>(first_capacity)),
      capacity_(first_capacity),
      side_(side) {
    if (side == Side::request) decoder_.begin();
}

Connection::~Connection() = default;

void Connection::close() noexcept {
    watching_ = false;
    listener_ = nullptr;
    failed_ = true;
    stream_.close();
    if (watcher_) watcher_->cancel();
}

// ------------------------------------------------------------------------------------------------------- reading

void Connection::fail_decoding() {
    failed_ = true;
    peer_at_fault_ = true;
    decoder_.throw_failure();
}

bool Connection::try_head() {
    if (begin_ == end_) return false;
    const auto step = decoder_.next(window());
    if (step.event == Decoder::Event::failed) fail_decoding();
    begin_ += step.consumed;
    if (step.event != Decoder::Event::head) return false;
    head_end_ = begin_;
    pinned_ = true;
    body_ended_ = false;
    body_seen_ = 0;
    body_time_left_ = times_.body;
    owes_continue_ = side_ == Side::request && head().expect_continue;
    return true;
}

Coro<bool> Connection::read_head() {
    bool begun = false;
    while (!try_head()) {
        if (idle()) {
            const bool got = co_await fill(times_.idle);
            if (!got) co_return false;
            continue;
        }
        // The time for a head runs from its first byte.
        if (!begun) deadlines_.set(Deadlines::Kind::read, times_.head);
        begun = true;
        const bool got = co_await fill(Duration::min());
        if (!got) {
            const auto step = decoder_.finish();
            if (step.event != Decoder::Event::failed) co_return false;
            fail_decoding();
        }
    }
    deadlines_.clear(Deadlines::Kind::read);
    co_return true;
}

Connection::Piece Connection::try_body(std::string_view& data) {
    if (body_ended_) return Piece::end;
    const auto step = decoder_.next(window());
    begin_ += step.consumed;
    switch (step.event) {
    case Decoder::Event::body:
        data = step.data;
        body_seen_ += data.size();
        return Piece::body;
    case Decoder::Event::end: body_ended_ = true; return Piece::end;
    case Decoder::Event::failed: fail_decoding();
    default: return Piece::more;
    }
}

Coro<std::string_view> Connection::read_some() {
    std::string_view data;
    for (;;) {
        const Piece piece = try_body(data);
        if (piece == Piece::end) co_return std::string_view();
        if (piece == Piece::body && !data.empty()) co_return data;
        if (piece == Piece::body) continue;
        if (owes_continue_) {
            owes_continue_ = false;
            out_.append(continue_head);
        }
        if (!out_.empty()) co_await send();
        const TimePoint start = Clock::now();
        const bool got = co_await fill(body_time_left_);
        if (body_time_left_ > Duration::zero()) {
            body_time_left_ = std::max(body_time_left_ - (Clock::now() - start), Duration(1));
        }
        if (got) continue;
        const auto step = decoder_.finish();
        if (step.event == Decoder::Event::failed) {
            if (side_ == Side::request) fail_decoding();
            failed_ = true;
            throw net::IncompleteReadError({}, length(), "the body of an HTTP response");
        }
        body_ended_ = true;
    }
}

std::optional<std::uint64_t> Connection::length() const noexcept {
    if (head().framing == Framing::length) return head().length;
    if (head().framing == Framing::none) return 0;
    return std::nullopt;
}

bool Connection::skip_arrived() {
    std::string_view data;
    for (;;) {
        const Piece piece = try_body(data);
        if (piece != Piece::body) return piece == Piece::end;
    }
}

void Connection::next_message(std::string_view request_method) {
    decoder_.begin(request_method);
    pinned_ = false;
    body_ended_ = true;
    owes_continue_ = false;
    // Back into a small buffer, unless a tail of further messages is too long for it, or bytes are being read to here.
    if (reading_ || end_ - begin_ > first_capacity) return head_memory_.reset();
    if (head_memory_ && head_capacity_ == first_capacity) {
        if (begin_ != end_) std::memcpy(head_memory_.get(), memory_.get() + begin_, end_ - begin_);
        memory_ = std::move(head_memory_);
        capacity_ = first_capacity;
        end_ -= begin_;
        begin_ = 0;
    } else if (capacity_ != first_capacity) {
        grow(first_capacity);
    }
    head_memory_.reset();
}

void Connection::grow(std::size_t capacity) {
    auto other = std::make_unique_for_overwrite<char[]>(capacity);
    if (begin_ != end_) std::memcpy(other.get(), memory_.get() + begin_, end_ - begin_);
    if (pinned_) {
        head_memory_ = std::move(memory_);
        head_capacity_ = capacity_;
        pinned_ = false;
    }
    memory_ = std::move(other);
    capacity_ = capacity;
    end_ -= begin_;
    begin_ = 0;
}

void Connection::make_room() {
    const std::size_t floor = pinned_ ? head_end_ : 0;
    if (begin_ == end_) {
        begin_ = end_ = floor;
    } else if (!pinned_ && begin_ > 0 && capacity_ - end_ < capacity_ / 2) {
        std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (capacity_ - end_ >= least_room) return;
    if (pinned_) return grow(std::max(body_capacity, 2 * (end_ - begin_)));
    grow(2 * capacity_);
}

// A limit below zero: the deadline that is set already goes on.
Coro<bool> Connection::fill(Duration limit) {
    using enum Deadlines::Kind;
    if (limit >= Duration::zero()) deadlines_.set(read, limit);
    try {
        if (reading_) {
            filled_.clear();
            const Flag waiting(filling_);
            co_await filled_.wait();
        } else if (!ended_ && !failure_) {
            make_room();
            const std::span<char> room(memory_.get() + end_, capacity_ - end_);
            const Flag using_it(own_read_);
            const std::size_t count = co_await stream_.read_some(room);
            end_ += count;
            ended_ = count == 0;
        }
        if (watching_) armed_.set();
        if (failure_) std::rethrow_exception(failure_);
    } catch (const CancelledError&) {
        if (!deadlines_.take_expired(read)) throw;
        failed_ = true;
        peer_at_fault_ = true;
        throw LimitError(408, "the message did not come within its time");
    } catch (...) {
        failed_ = true;
        throw;
    }
    if (limit >= Duration::zero()) deadlines_.clear(read);
    co_return !ended_;
}

Coro<> Connection::linger() {
    if (!out_.empty()) co_await send();
    co_await stream_.shutdown_write();
    pinned_ = false;
    std::size_t dropped = 0;
    deadlines_.set(Deadlines::Kind::read, linger_time);
    while (dropped < linger_bytes) {
        dropped += end_ - begin_;
        begin_ = end_;
        const bool got = co_await fill(Duration::min());
        if (!got) break;
    }
}

// ------------------------------------------------------------------------------------------------------- writing

bool Connection::send_at_once() noexcept {
    if (writing_ || failed_) return false;
    out_.erase(0, stream_.try_write(out_));
    if (!out_.empty()) return false;
    if (out_.capacity() > kept_out) std::string().swap(out_);
    return true;
}

Coro<> Connection::send(std::string_view body, std::string_view tail) {
    while (writing_) {
        written_.clear();
        co_await written_.wait();
    }
    if (failed_ && !peer_at_fault_) throw ClosedError("the connection has failed already");
    const Flag writing(writing_);
    sending_.swap(out_);
    out_.clear();
    std::array<net::Buffer, 3> buffers{net::buffer(std::string_view(sending_)), net::buffer(body), net::buffer(tail)};
    const std::size_t used = !tail.empty() ? 3 : !body.empty() ? 2 : 1;
    deadlines_.set(Deadlines::Kind::write, times_.write);
    try {
        if (sending_.size() + body.size() <= slice) {
            co_await stream_.write(std::span<const net::Buffer>(buffers.data(), used));
        } else {
            co_await send_slices(buffers);
        }
    } catch (const CancelledError&) {
        failed_ = true;
        written_.set();
        if (!deadlines_.take_expired(Deadlines::Kind::write)) throw;
        throw TimeoutError("the peer did not take what was written to it within the time for a write");
    } catch (...) {
        failed_ = true;
        written_.set();
        throw;
    }
    deadlines_.clear(Deadlines::Kind::write);
    sending_.clear();
    if (sending_.capacity() > kept_out) std::string().swap(sending_);
    written_.set();
}

Coro<> Connection::send_slices(std::array<net::Buffer, 3> buffers) {
    for (net::Buffer rest : buffers) {
        while (rest.size != 0) {
            net::Buffer piece{rest.data, std::min(rest.size, slice)};
            rest.data = static_cast<const char*>(rest.data) + piece.size;
            rest.size -= piece.size;
            deadlines_.set(Deadlines::Kind::write, times_.write);
            co_await stream_.write(std::span<const net::Buffer>(&piece, 1));
        }
    }
}

// ------------------------------------------------------------------------------------------------------ watching

void Connection::watch() {
    watching_ = true;
    if (!pinned_ && !reading_ && begin_ == end_) begin_ = end_ = 0;
    may_probe_ = side_ == Side::request && head().minor >= 1;
    ++watch_count_;
    armed_.set();
    if (!watcher_)
        watcher_.emplace(create_task(watch_loop(shared_from_this()), {.name = "http watch", .eager_start = false}));
}

Coro<> Connection::watch_loop(std::shared_ptr<Connection> self) {
    const auto alive = std::move(self);
    while (is_open()) {
        co_await armed_.wait();
        armed_.clear();
        if (watching_) co_await read_watching();
    }
}

Coro<> Connection::read_watching() {
    // Answers to earlier requests do not wait for a handler that takes its time.
    if (!out_.empty() && !writing_) {
        try {
            co_await send();
        } catch (const Error&) {
            if (listener_ != nullptr) listener_->on_failure();
            co_return;
        }
    }
    while (watching_ && !filling_ && !own_read_ && !ended_ && !failure_ && end_ < capacity_) {
        const std::span<char> room(memory_.get() + end_, capacity_ - end_);
        std::size_t count = 0;
        {
            const Flag reading(reading_);
            try {
                count = co_await stream_.read_some(room);
            } catch (const Error&) {
                failure_ = std::current_exception();
            }
        }
        end_ += count;
        ended_ = count == 0 && !failure_;
        filled_.set();
        if (!watching_ || listener_ == nullptr) continue;
        if (failure_) {
            listener_->on_failure();
        } else if (ended_) {
            listener_->on_end();
        } else {
            listener_->on_bytes();
        }
    }
    if (watching_ && ended_ && probe_after_ > Duration::zero()) co_await probe();
}

Coro<> Connection::probe() {
    const std::uint64_t about = watch_count_;
    // The first one provokes the reset, the next one sees it.
    Duration wait = probe_after_;
    for (int count = 0; count < 1000; ++count) {
        co_await sleep(wait);
        if (!watching_ || !may_probe_ || watch_count_ != about) co_return;
        try {
            if (!writing_) {
                out_.append(continue_head);
                co_await send();
            }
        } catch (const Error&) {
            if (watching_ && listener_ != nullptr) listener_->on_failure();
            co_return;
        }
        wait = count == 0 ? probe_after_ / 4 : wait * 2;
    }
}

}  // namespace coaio::http::detail
