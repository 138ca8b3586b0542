// SPDX-License-Identifier: MIT
#include <coaio/db/listener.hpp>

#include "connect.hpp"
#include "listener_state.hpp"

#include <coaio/db/error.hpp>
#include <coaio/db/pool.hpp>

#include <utility>

namespace coaio::db {
namespace {

constexpr std::size_t longest_channel = 63;
constexpr std::size_t longest_payload = 7'999;

using Handle = std::shared_ptr<detail::ListenerHandle>;

Coro<Listener> open(std::shared_ptr<detail::Connector> connector, ListenOptions options) {
    const auto state = std::make_shared<detail::ListenerState>(std::move(connector), options);
    auto handle = std::make_shared<detail::ListenerHandle>(state);
    co_await state->open();
    co_return Listener(std::move(handle));
}

template <class T>
const T& require(const T& there, const char* problem) {
    if (!there) throw UsageError(problem);
    return there;
}

std::shared_ptr<detail::Inbox> make_inbox(const Handle& handle) {
    return std::make_shared<detail::Inbox>(handle, handle->state->options().buffer);
}

Coro<Subscription> join_as(std::shared_ptr<detail::Inbox> inbox, std::string channel) {
    co_await detail::ListenerState::join(inbox, std::move(channel));
    co_return Subscription(std::move(inbox));
}

}  // namespace

namespace detail {

Coro<> notified(Coro<Rows> answer) { return ignore(std::move(answer)); }

std::string checked_channel(std::string_view channel) {
    if (channel.empty()) throw UsageError("a channel needs a name");
    if (channel.size() > longest_channel) {
        throw UsageError("the channel's name is longer than 63 bytes: the server would cut it");
    }
    if (channel.find('\0') != std::string_view::npos) throw UsageError("the channel's name contains a NUL byte");
    return std::string(channel);
}

std::string checked_payload(std::string_view payload) {
    if (payload.size() > longest_payload) {
        throw ParameterError(2, "a payload of " + std::to_string(payload.size()) +
                                    " bytes: a notification carries 7 999 at most; store it, and send its key");
    }
    return std::string(payload);
}

}  // namespace detail

Subscription::Subscription(std::shared_ptr<detail::Inbox> inbox) noexcept : inbox_(std::move(inbox)) {}
Subscription::Subscription(Subscription&&) noexcept = default;
Subscription::~Subscription() { close(); }

Subscription& Subscription::operator=(Subscription&& other) noexcept {
    if (this != &other) {
        close();
        inbox_ = std::move(other.inbox_);
    }
    return *this;
}

Coro<Notification> Subscription::next() { return detail::Inbox::next(require(inbox_, "the subscription is closed")); }

void Subscription::close() noexcept {
    if (inbox_) inbox_->close();
    inbox_.reset();
}

Listener::Listener(std::shared_ptr<detail::ListenerHandle> handle)
    : handle_(std::move(handle)), inbox_(make_inbox(handle_)) {}
Listener::Listener(Listener&&) noexcept = default;
Listener::~Listener() {
    if (inbox_) inbox_->close();
}

Listener& Listener::operator=(Listener&& other) noexcept {
    if (this != &other) {
        if (inbox_) inbox_->close();
        inbox_ = std::move(other.inbox_);
        handle_ = std::move(other.handle_);
    }
    return *this;
}

Coro<Listener> Listener::connect(std::string_view url, ConnectOptions options, ListenOptions listen) {
    return open(std::make_shared<detail::PqConnector>(url, options.connect_values()), listen);
}

Coro<Listener> Listener::connect(const Pool& pool, ListenOptions listen) { return open(pool.connector(), listen); }

Coro<> Listener::listen(std::string_view channel) {
    return detail::ListenerState::join(require(inbox_, "the listener is closed"), detail::checked_channel(channel));
}

Coro<> Listener::unlisten(std::string_view channel) {
    return detail::ListenerState::part(require(inbox_, "the listener is closed"), detail::checked_channel(channel));
}

Coro<Notification> Listener::next() { return detail::Inbox::next(require(inbox_, "the listener is closed")); }

Coro<Subscription> Listener::subscribe(std::string_view channel) {
    return join_as(make_inbox(require(handle_, "the listener is closed")), detail::checked_channel(channel));
}

void Listener::close() noexcept {
    if (handle_) handle_->state->close();
    inbox_.reset();
    handle_.reset();
}

ListenerStats Listener::statistics() const { return require(handle_, "the listener is closed")->state->statistics(); }

}  // namespace coaio::db
