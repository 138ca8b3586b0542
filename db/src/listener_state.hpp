// SPDX-License-Identifier: MIT
#pragma once

#include "link.hpp"

#include <coaio/db/listener.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>

#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace coaio::db::detail {

class ListenerState;

/// What a subscriber has not fetched yet.
class Inbox {
public:
    Inbox(std::shared_ptr<ListenerHandle> owner, std::size_t room);
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;
    ~Inbox();

    [[nodiscard]] static Coro<Notification> next(std::shared_ptr<Inbox> self);
    /// False: there was no room.
    bool put(const Notification& heard);
    void put_gap(Gap gap, std::uint64_t missed);
    void wake() noexcept { came_.set(); }
    void close() noexcept;

    [[nodiscard]] ListenerState& state() const noexcept;
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    /// Those that the server has confirmed, once.
    [[nodiscard]] std::set<std::string>& channels() noexcept { return channels_; }

private:
    std::shared_ptr<ListenerHandle> owner_;
    std::size_t room_;
    std::deque<Notification> heard_;
    std::set<std::string> channels_;
    Event came_;
    bool fetching_ = false;
    bool closed_ = false;
};

/// A channel that somebody wants, or that the server is to be told about.
class Channel {
public:
    explicit Channel(std::string called) : name(std::move(called)) {}

    std::string name;
    std::vector<Inbox*> inboxes;
    Event changed;               // who wants it, or what the server was told, or cannot be told any more
    std::exception_ptr refused;  // by the server, when it was told last
    bool active = false;         // the server listens
    bool asked = false;          // to begin or to stop, and has not answered
    bool dirty = false;          // that may not be what is wanted

    [[nodiscard]] bool wanted() const noexcept { return !inboxes.empty(); }
    [[nodiscard]] bool heard() const noexcept { return active && !asked; }
};

/// A session that listens, over links of any kind; another one when it is lost. One task keeps it: it brings the server
/// to listen to what is wanted, and gives out what is heard.
class ListenerState : public std::enable_shared_from_this<ListenerState> {
public:
    ListenerState(std::shared_ptr<Connector> connector, ListenOptions options);
    ListenerState(const ListenerState&) = delete;
    ListenerState& operator=(const ListenerState&) = delete;
    ~ListenerState();

    /// Opens the first session, or fails as that does.
    [[nodiscard]] Coro<> open();
    [[nodiscard]] static Coro<> join(std::shared_ptr<Inbox> inbox, std::string name);
    [[nodiscard]] static Coro<> part(std::shared_ptr<Inbox> inbox, std::string name);
    void add(Inbox& inbox) { inboxes_.push_back(&inbox); }
    void remove(Inbox& inbox) noexcept;
    void close() noexcept;

    /// Throws what ended it, if anything did.
    void require_alive() const;
    [[nodiscard]] const ListenOptions& options() const noexcept { return options_; }
    [[nodiscard]] ListenerStats statistics() const;
    /// For dumps: "session 7", or why there is none.
    [[nodiscard]] std::string session_name() const;

private:
    struct Joining;
    struct Listening;

    [[nodiscard]] static Coro<> keep(std::shared_ptr<ListenerState> self);
    [[nodiscard]] Coro<> serve();
    [[nodiscard]] Coro<> reopen();
    [[nodiscard]] Coro<> tell_server();
    [[nodiscard]] Coro<> hear();
    [[nodiscard]] Coro<bool> hear_something();
    [[nodiscard]] Coro<> ask(std::string sql, Duration limit);
    void give_out();
    void report_gap();
    void lose() noexcept;
    void end(std::exception_ptr failure) noexcept;
    void forget(const std::shared_ptr<Channel>& channel);
    void touch(const std::shared_ptr<Channel>& channel);
    [[nodiscard]] std::shared_ptr<Channel> enter(Inbox& inbox, const std::string& name);
    void leave(Inbox& inbox, const std::shared_ptr<Channel>& channel);
    void poke();
    [[nodiscard]] Duration next_pause();

    std::shared_ptr<Connector> connector_;
    ListenOptions options_;
    std::unique_ptr<Link> link_;
    std::map<std::string, std::shared_ptr<Channel>> channels_;
    std::vector<std::shared_ptr<Channel>> dirty_;
    std::vector<Inbox*> inboxes_;
    std::optional<AnyTask> keeper_;
    coaio::detail::LoopCore* core_ = nullptr;
    Timeout* listening_ = nullptr;  // of the keeper, while it waits for the server to say something
    TimePoint opened_{};
    Duration pause_{};
    bool gap_ = false;  // to be reported when the server listens again
    std::string trouble_;
    std::exception_ptr failure_;
    ListenerStats stats_;
};

/// What a listener and its subscriptions share; with the last of them goes the session.
class ListenerHandle {
public:
    explicit ListenerHandle(std::shared_ptr<ListenerState> of) noexcept : state(std::move(of)) {}
    ListenerHandle(const ListenerHandle&) = delete;
    ListenerHandle& operator=(const ListenerHandle&) = delete;
    ~ListenerHandle() { state->close(); }

    std::shared_ptr<ListenerState> state;
};

}  // namespace coaio::db::detail
