// SPDX-License-Identifier: MIT
#include "listener_state.hpp"

#include "path.hpp"
#include "quote.hpp"

#include <coaio/db/error.hpp>

#include <coaio/core/activity.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {

using namespace std::chrono_literals;

namespace {

// How long the server may take to answer a command of the listener's own.
constexpr Duration answer_limit = 10s;
constexpr Duration first_pause = 50ms;
constexpr Duration longest_pause = 5s;

std::exception_ptr closed() { return std::make_exception_ptr(UsageError("the listener is closed")); }

bool confirmed(const Channel& channel) {
    return std::any_of(channel.inboxes.begin(), channel.inboxes.end(),
                       [&channel](Inbox* inbox) { return inbox->channels().count(channel.name) > 0; });
}

// Trying again would be answered the same.
bool hopeless(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        return error.is("28") || error.is(sqlstate::undefined_database);
    } catch (...) {
        return false;
    }
}

}  // namespace

// An inbox.

Inbox::Inbox(std::shared_ptr<ListenerHandle> owner, std::size_t room)
    : owner_(std::move(owner)), room_(std::max<std::size_t>(room, 1)) {
    state().add(*this);
}

Inbox::~Inbox() { close(); }

ListenerState& Inbox::state() const noexcept { return *owner_->state; }

void Inbox::close() noexcept {
    if (std::exchange(closed_, true)) return;
    state().remove(*this);
    heard_.clear();
    came_.set();
}

bool Inbox::put(const Notification& heard) {
    if (heard_.size() >= room_) {
        put_gap(Gap::overflow, 1);
        return false;
    }
    heard_.push_back(heard);
    came_.set();
    return true;
}

void Inbox::put_gap(Gap gap, std::uint64_t missed) {
    if (heard_.empty() || heard_.back().gap == Gap::none) {
        heard_.emplace_back().gap = gap;
        came_.set();
    }
    Notification& last = heard_.back();
    if (gap == Gap::session_lost) last.gap = gap;
    last.missed += missed;
}

Coro<Notification> Inbox::next(std::shared_ptr<Inbox> self) {
    const Step step(self->fetching_, "subscription");
    if (cancellation_due()) co_await throw_if_cancelled();
    const Doing waiting(
        [inbox = self.get()] { return WaitInfo{.what = "a notification (" + inbox->state().session_name() + ")"}; });
    while (self->heard_.empty()) {
        if (self->closed_) throw UsageError("the subscription is closed");
        self->state().require_alive();
        self->came_.clear();
        co_await self->came_.wait();
    }
    Notification first = std::move(self->heard_.front());
    self->heard_.pop_front();
    co_return first;
}

// Who wants what.

/// A subscriber who waits until the server listens; without that he was never there.
struct ListenerState::Joining {
    ListenerState* state;
    Inbox* inbox;
    const std::string* name;

    Joining(ListenerState& of, Inbox& who, const std::string& what) noexcept : state(&of), inbox(&who), name(&what) {}
    Joining(const Joining&) = delete;
    Joining& operator=(const Joining&) = delete;
    ~Joining() {
        if (inbox->channels().count(*name) > 0) return;
        const auto at = state->channels_.find(*name);
        if (at != state->channels_.end()) state->leave(*inbox, at->second);
    }
};

ListenerState::ListenerState(std::shared_ptr<Connector> connector, ListenOptions options)
    : connector_(std::move(connector)), options_(options), pause_(first_pause) {}

ListenerState::~ListenerState() = default;

Coro<> ListenerState::join(std::shared_ptr<Inbox> inbox, std::string name) {
    const auto self = inbox->state().shared_from_this();
    if (cancellation_due()) co_await throw_if_cancelled();
    const Joining joining(*self, *inbox, name);
    const Doing waiting([self, &name] {
        return WaitInfo{.what = "listen on \"" + shortened(name) + "\" (" + self->session_name() + ")"};
    });
    for (;;) {
        self->require_alive();
        if (inbox->closed()) throw UsageError("the subscription is closed");
        // Again and again: another task may have taken the inbox out meanwhile.
        const std::shared_ptr<Channel> channel = self->enter(*inbox, name);
        if (channel->heard()) break;
        if (channel->refused) std::rethrow_exception(channel->refused);
        channel->changed.clear();
        co_await channel->changed.wait();
    }
    inbox->channels().insert(name);
}

Coro<> ListenerState::part(std::shared_ptr<Inbox> inbox, std::string name) {
    const auto self = inbox->state().shared_from_this();
    if (cancellation_due()) co_await throw_if_cancelled();
    self->require_alive();
    const auto at = self->channels_.find(name);
    if (at == self->channels_.end()) co_return;
    const std::shared_ptr<Channel> channel = at->second;
    inbox->channels().erase(name);
    self->leave(*inbox, channel);
    while (channel->active && !channel->wanted()) {
        self->require_alive();
        channel->changed.clear();
        co_await channel->changed.wait();
    }
}

std::shared_ptr<Channel> ListenerState::enter(Inbox& inbox, const std::string& name) {
    auto& place = channels_[name];
    if (!place) place = std::make_shared<Channel>(name);
    const std::shared_ptr<Channel> channel = place;
    const auto at = std::find(channel->inboxes.begin(), channel->inboxes.end(), &inbox);
    if (at != channel->inboxes.end()) return channel;
    channel->inboxes.push_back(&inbox);
    channel->changed.set();
    channel->refused = nullptr;
    if (!channel->heard()) touch(channel);
    return channel;
}

void ListenerState::leave(Inbox& inbox, const std::shared_ptr<Channel>& channel) {
    if (std::erase(channel->inboxes, &inbox) == 0) return;
    channel->changed.set();
    if (!channel->wanted()) touch(channel);
}

void ListenerState::remove(Inbox& inbox) noexcept {
    std::erase(inboxes_, &inbox);
    for (const auto& [name, channel] : channels_) leave(inbox, channel);
}

// Another one of its name may have its place by now.
void ListenerState::forget(const std::shared_ptr<Channel>& channel) {
    const auto at = channels_.find(channel->name);
    if (at != channels_.end() && at->second == channel) channels_.erase(at);
}

void ListenerState::touch(const std::shared_ptr<Channel>& channel) {
    if (!std::exchange(channel->dirty, true)) dirty_.push_back(channel);
    poke();
}

void ListenerState::poke() {
    const bool waits = listening_ != nullptr && listening_->state() == Timeout::State::active;
    if (waits) listening_->reschedule(Clock::now());
}

void ListenerState::require_alive() const {
    if (failure_) std::rethrow_exception(failure_);
}

ListenerStats ListenerState::statistics() const {
    ListenerStats stats = stats_;
    stats.connected = link_ != nullptr;
    stats.channels = static_cast<std::size_t>(
        std::count_if(channels_.begin(), channels_.end(), [](const auto& each) { return each.second->active; }));
    return stats;
}

std::string ListenerState::session_name() const {
    if (link_) return "session " + std::to_string(link_->pid());
    return trouble_.empty() ? std::string("no session") : "no session: " + shortened(trouble_);
}

// The session.

Coro<> ListenerState::open() {
    core_ = coaio::detail::thread_state.core;
    link_ = co_await connector_->connect();
    link_->keep_notifications();
    opened_ = Clock::now();
    ++stats_.sessions;
    keeper_ = create_task(keep(shared_from_this()), {.name = "db listener", .eager_start = false});
}

Coro<> ListenerState::keep(std::shared_ptr<ListenerState> self) {
    std::exception_ptr failure;
    bool cancelled = false;
    try {
        co_await self->serve();
    } catch (const BaseException&) {
        cancelled = true;
        failure = std::current_exception();
    } catch (...) {
        failure = std::current_exception();
    }
    if (!cancelled) {
        self->end(failure);
        co_return;
    }
    self->end(closed());
    std::rethrow_exception(failure);
}

Coro<> ListenerState::serve() {
    for (;;) {
        std::exception_ptr failure;
        try {
            if (!link_) co_await reopen();
            while (!dirty_.empty()) co_await tell_server();
            report_gap();
            give_out();
            co_await hear();
        } catch (const std::exception& error) {
            failure = std::current_exception();
            trouble_ = error.what();
        }
        if (!failure) continue;
        if (link_) give_out();  // what was heard before
        lose();
        if (hopeless(failure)) std::rethrow_exception(failure);
        co_await sleep(next_pause());
    }
}

Coro<> ListenerState::reopen() {
    link_ = co_await connector_->connect();
    link_->keep_notifications();
    opened_ = Clock::now();
    ++stats_.sessions;
    trouble_.clear();
}

Coro<> ListenerState::ask(std::string sql, Duration limit) {
    try {
        co_await wait_for(ignore(link_->command(std::move(sql), OnCancel::close)), limit);
    } catch (const TimeoutError&) {
        ErrorFields fields;
        fields.message = "the server does not answer the listener";
        throw ConnectionError(std::move(fields));
    }
}

Coro<> ListenerState::tell_server() {
    const auto told = std::exchange(dirty_, {});
    std::vector<std::pair<std::shared_ptr<Channel>, bool>> sent;
    std::string sql;
    for (const auto& channel : told) {
        channel->dirty = false;
        if (channel->wanted() != channel->active) {
            channel->asked = true;
            sql += (channel->wanted() ? "listen " : "unlisten ") + quote_identifier(channel->name) + ";";
            sent.emplace_back(channel, channel->wanted());
        } else if (!channel->wanted()) {
            forget(channel);
        }
    }
    if (sql.empty()) co_return;
    std::exception_ptr refused;
    try {
        co_await ask(std::move(sql), answer_limit);
    } catch (const Error& error) {
        if (!error.connection_good()) throw;
        refused = std::current_exception();
    }
    bool useless = false;  // as a session: it does not do what was promised already
    for (const auto& [channel, on] : sent) {
        channel->asked = false;
        if (refused) {
            channel->refused = refused;
            useless = useless || !on || confirmed(*channel);
        } else {
            channel->active = on;
            if (channel->wanted() != on) touch(channel);
            if (!channel->wanted() && !on) forget(channel);
        }
        channel->changed.set();
    }
    if (useless) std::rethrow_exception(refused);
}

Coro<> ListenerState::hear() {
    while (dirty_.empty()) {
        const bool heard = co_await hear_something();
        if (heard) {
            give_out();
        } else if (dirty_.empty()) {
            co_await ask({}, std::min(options_.check_after, answer_limit));  // silent for long: is it still there?
            give_out();
        }
    }
}

/// While it lives, `poke` ends the wait.
struct ListenerState::Listening {
    ListenerState* state;

    Listening(ListenerState& of, Timeout& wait) noexcept : state(&of) { of.listening_ = &wait; }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;
    ~Listening() { state->listening_ = nullptr; }
};

Coro<bool> ListenerState::hear_something() {
    std::optional<TimePoint> limit;
    if (options_.check_after > Duration::zero()) limit = deadline_in(options_.check_after);
    Timeout waking(limit);
    const Listening listening(*this, waking);
    bool woken = false;
    std::exception_ptr failure;
    try {
        co_await link_->hear();
        waking.leave();
    } catch (...) {
        failure = std::current_exception();
        try {
            waking.leave_by_exception();
        } catch (const TimeoutError&) {
            woken = true;
        }
    }
    if (failure && !woken) std::rethrow_exception(failure);
    co_return !woken;
}

void ListenerState::give_out() {
    const std::deque<Notification> all = link_->take_heard();
    if (!all.empty()) report_gap();  // what was missed came before
    for (const Notification& heard : all) {
        ++stats_.received;
        const auto at = channels_.find(heard.channel);
        if (at == channels_.end()) continue;
        for (Inbox* inbox : at->second->inboxes) {
            if (!inbox->put(heard)) ++stats_.dropped;
        }
    }
}

void ListenerState::report_gap() {
    if (!std::exchange(gap_, false)) return;
    for (Inbox* inbox : inboxes_) {
        if (!inbox->channels().empty()) inbox->put_gap(Gap::session_lost, 0);
    }
}

void ListenerState::lose() noexcept {
    if (!link_) return;
    if (Clock::now() - opened_ >= longest_pause) pause_ = first_pause;
    link_->close();
    link_.reset();
    gap_ = true;
    for (const auto& [name, channel] : channels_) {
        channel->active = channel->asked = false;
        channel->changed.set();
        touch(channel);
    }
}

Duration ListenerState::next_pause() {
    const Duration pause = pause_;
    pause_ = std::min(pause_ * 2, longest_pause);
    const auto half = static_cast<std::uint64_t>(pause.count() / 2);
    return pause / 2 + Duration(static_cast<Duration::rep>(get_running_loop().random() % half));
}

void ListenerState::end(std::exception_ptr failure) noexcept {
    if (!failure_) failure_ = std::move(failure);
    if (link_) link_->close();
    link_.reset();
    for (Inbox* inbox : inboxes_) inbox->wake();
    for (const auto& [name, channel] : channels_) {
        channel->active = false;
        channel->changed.set();
    }
}

void ListenerState::close() noexcept {
    if (!failure_) failure_ = closed();
    const auto* running = coaio::detail::thread_state.core;
    const bool alive = core_ != nullptr && running == core_ && !running->closed;
    if (alive && keeper_) keeper_->cancel();
    keeper_.reset();
    for (Inbox* inbox : inboxes_) inbox->wake();
    for (const auto& [name, channel] : channels_) channel->changed.set();
}

}  // namespace coaio::db::detail
