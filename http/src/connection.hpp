// SPDX-License-Identifier: MIT
#pragma once

#include "deadlines.hpp"
#include "decode.hpp"

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/time.hpp>
#include <coaio/http/body.hpp>
#include <coaio/net/stream.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coaio::http::detail {

/// Hears what comes in while nobody waits for it.
class WatchListener {
public:
    WatchListener(const WatchListener&) = delete;
    WatchListener& operator=(const WatchListener&) = delete;

    /// Bytes have come; or the peer has ended, or the connection failed.
    virtual void on_bytes() noexcept = 0;
    virtual void on_end() noexcept = 0;
    virtual void on_failure() noexcept = 0;

protected:
    WatchListener() = default;
    ~WatchListener() = default;
};

struct ConnectionTimes {
    Duration idle{};
    Duration head{};
    Duration body{};
    Duration write{};
    [[nodiscard]] Duration shortest() const noexcept;
};

/// One end of an HTTP/1 connection, the server's or the client's: a stream, the bytes that came and are not used yet, the
/// decoder, and the bytes that wait to be written. Messages come in one after another: `read_head`, `read_some` until it
/// gives nothing, `next_message`.
///
/// **The buffer.** While a message is being handled its head stays where it is, since a request is made of views into it;
/// the body is read behind it, and when there is no room, into a larger buffer, while the old one is kept for the head.
///
/// **Watching.** Between `watch()` and `unwatch()` a task of the connection's own reads what comes into the room that is
/// left, so that it is noticed when the peer goes: a server's while a handler runs, a client's while it idles in the pool.
/// A read of that task is not cancelled when bytes are wanted again: whoever wants them waits for it. It is woken for
/// each request and finds most of them answered already.
class Connection final : public BodySource, public std::enable_shared_from_this<Connection> {
public:
    Connection(net::Stream stream, Side side, const DecodeLimits& limits, const ConnectionTimes& times);
    ~Connection();

    /// The next head if its bytes are there. Throws ProtocolError.
    [[nodiscard]] bool try_head();
    /// Waits for it, with nothing left in `out()`; false: the peer ended between two messages.
    [[nodiscard]] Coro<bool> read_head();
    [[nodiscard]] const MessageHead& head() const noexcept { return decoder_.head(); }
    /// No byte of a message has come.
    [[nodiscard]] bool idle() const noexcept { return decoder_.idle() && begin_ == end_; }
    [[nodiscard]] bool has_unread() const noexcept { return begin_ != end_; }

    [[nodiscard]] Coro<std::string_view> read_some() override;
    [[nodiscard]] std::optional<std::uint64_t> length() const noexcept override;
    void set_limit(std::uint64_t bytes) noexcept override { decoder_.set_body_limit(bytes); }
    [[nodiscard]] const Headers& trailers() const noexcept override { return decoder_.trailers(); }
    /// Drops what has come of the body; true when that was all of it. Throws ProtocolError.
    [[nodiscard]] bool skip_arrived();
    [[nodiscard]] bool body_ended() const noexcept { return body_ended_; }
    /// Of the body, so far.
    [[nodiscard]] std::uint64_t body_seen() const noexcept { return body_seen_; }
    /// The body has been read to its end; what the head was made of goes. For a client: the method of the next request.
    void next_message(std::string_view request_method = {});
    /// The peer waits for `100 Continue` before it sends the body.
    [[nodiscard]] bool owes_continue() const noexcept { return owes_continue_; }
    /// Reads and drops, for a peer that would not hear an answer if the connection were closed on it now.
    [[nodiscard]] Coro<> linger();

    /// What is to be written next, together with what follows it.
    [[nodiscard]] std::string& out() noexcept { return out_; }
    /// Writes what can be written of `out()` without waiting; true: all of it. Otherwise `send` is to follow.
    [[nodiscard]] bool send_at_once() noexcept;
    /// Writes `out()`, then the two texts, gathered.
    [[nodiscard]] Coro<> send(std::string_view body = {}, std::string_view tail = {});

    void watch();
    void unwatch() noexcept { watching_ = false; }
    void set_listener(WatchListener* listener) noexcept { listener_ = listener; }
    /// While it is watched and the peer has ended: after this time it is asked whether it is still there, by an
    /// interim response. Zero: never.
    void set_probe(Duration after) noexcept { probe_after_ = after; }
    /// An answer is on its way: it may not be asked any more.
    void forbid_probe() noexcept { may_probe_ = false; }

    /// The connection is of no more use: the peer has gone, or broke the rules, or was too slow.
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    /// The peer broke the rules, or was too slow: what it is to be told.
    [[nodiscard]] bool peer_at_fault() const noexcept { return peer_at_fault_; }
    [[nodiscard]] bool ended() const noexcept { return ended_; }

    [[nodiscard]] net::Stream& stream() noexcept { return stream_; }
    [[nodiscard]] Deadlines& deadlines() noexcept { return deadlines_; }
    /// Closes it at once. Whoever waits gets ClosedError.
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return stream_.is_open(); }

private:
    enum class Piece : std::uint8_t { body, end, more };

    [[nodiscard]] std::string_view window() const noexcept { return {memory_.get() + begin_, end_ - begin_}; }
    [[nodiscard]] Piece try_body(std::string_view& data);
    [[noreturn]] void fail_decoding();
    void make_room();
    /// Moves what is unread to a buffer of this size.
    void grow(std::size_t capacity);
    /// More bytes behind those that are there; false: the peer has ended.
    [[nodiscard]] Coro<bool> fill(Duration limit);
    [[nodiscard]] Coro<> send_slices(std::array<net::Buffer, 3> buffers);
    [[nodiscard]] Coro<> watch_loop(std::shared_ptr<Connection> self);
    [[nodiscard]] Coro<> read_watching();
    [[nodiscard]] Coro<> probe();

    net::Stream stream_;
    Decoder decoder_;
    Deadlines deadlines_;
    ConnectionTimes times_;
    Duration body_time_left_{};

    std::unique_ptr<char[]> memory_;
    std::unique_ptr<char[]> head_memory_;  // the head's, when the body is read into another
    std::size_t capacity_ = 0;
    std::size_t head_capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t head_end_ = 0;
    bool pinned_ = false;  // memory_ holds the head, up to head_end_

    std::string out_;
    std::string sending_;
    std::uint64_t body_seen_ = 0;

    std::exception_ptr failure_;
    WatchListener* listener_ = nullptr;
    std::optional<Task<>> watcher_;
    Event armed_;
    Event filled_;
    Event written_;
    Duration probe_after_{};
    std::uint64_t watch_count_ = 0;
    bool watching_ = false;
    bool reading_ = false;   // the watcher is
    bool own_read_ = false;  // the task that wants the bytes reads them itself
    bool filling_ = false;   // somebody waits for the watcher's bytes
    bool writing_ = false;
    bool may_probe_ = false;
    bool ended_ = false;
    bool failed_ = false;
    bool peer_at_fault_ = false;
    bool body_ended_ = true;
    bool owes_continue_ = false;
    Side side_;
};

}  // namespace coaio::http::detail
