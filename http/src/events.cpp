// SPDX-License-Identifier: MIT
#include <coaio/http/events.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace coaio::http {

namespace detail {

struct SubscriberState {
    Event arrived;         // of its loop
    Loop* loop = nullptr;  // null once the subscription has gone; under the mutex, as is what follows
    std::mutex mutex;
    std::deque<std::shared_ptr<const std::string>> queue;
    std::size_t most = 0;
    std::uint64_t lost = 0;
    bool told = false;  // the loop has been told, and has not looked yet
    bool closed = false;

    /// Wakes the loop if need be, with the mutex held: so the loop is still there.
    void tell(const std::shared_ptr<SubscriberState>& self) {
        if (told || loop == nullptr) return;
        try {
            loop->call_soon_threadsafe([self] { self->arrived.set(); });
            told = true;
        } catch (const Error&) {  // NOLINT: that loop is closed
        }
    }
};

struct ChannelState {
    explicit ChannelState(std::size_t most) noexcept : queue(std::max<std::size_t>(most, 1)) {}
    std::mutex mutex;
    std::vector<std::weak_ptr<SubscriberState>> subscribers;
    std::size_t queue;
    bool closed = false;

    [[nodiscard]] std::vector<std::shared_ptr<SubscriberState>> living() {
        const std::lock_guard lock(mutex);
        std::vector<std::shared_ptr<SubscriberState>> found;
        std::erase_if(subscribers, [&](const std::weak_ptr<SubscriberState>& each) {
            auto state = each.lock();
            if (state == nullptr) return true;
            found.push_back(std::move(state));
            return false;
        });
        return found;
    }
};

}  // namespace detail

using detail::ChannelState;
using detail::SubscriberState;

// --------------------------------------------------------------------------------------------------------- events

namespace {

void append_lines(std::string& out, std::string_view field, std::string_view text) {
    for (;;) {
        const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
        out.append(field).append(": ").append(text.substr(0, end)).push_back('\n');
        if (end == text.size()) return;
        text.remove_prefix(text.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
    }
}

}  // namespace

SentEvent& SentEvent::type(std::string_view name) & {
    if (name.find_first_of("\r\n") != name.npos) throw ValueError("the type of an event has a line break");
    type_ = name;
    return *this;
}

SentEvent& SentEvent::id(std::string_view id) & {
    if (id.find_first_of(std::string_view("\r\n\0", 3)) != id.npos) {
        throw ValueError("the id of an event has a line break or a NUL");
    }
    id_ = id;
    return *this;
}

std::string SentEvent::text() const {
    std::string out;
    if (!type_.empty()) append_lines(out, "event", type_);
    if (!id_.empty()) append_lines(out, "id", id_);
    append_lines(out, "data", data_);
    out.push_back('\n');
    return out;
}

// ---------------------------------------------------------------------------------------------------- the channel

EventChannel::EventChannel(std::size_t queue) : state_(std::make_shared<ChannelState>(queue)) {}

void EventChannel::publish(const SentEvent& event) const {
    const auto subscribers = state_->living();
    if (subscribers.empty()) return;
    const auto text = std::make_shared<const std::string>(event.text());
    for (const auto& each : subscribers) {
        const std::lock_guard lock(each->mutex);
        if (each->closed) continue;
        if (each->queue.size() == each->most) {
            each->queue.pop_front();
            ++each->lost;
        }
        each->queue.push_back(text);
        each->tell(each);
    }
}

EventSubscription EventChannel::subscribe() const {
    auto subscriber = std::make_shared<SubscriberState>();
    subscriber->loop = &get_running_loop();
    subscriber->most = state_->queue;
    const std::lock_guard lock(state_->mutex);
    subscriber->closed = state_->closed;
    if (!state_->closed) state_->subscribers.push_back(subscriber);
    return EventSubscription(std::move(subscriber));
}

void EventChannel::close() const {
    {
        const std::lock_guard lock(state_->mutex);
        state_->closed = true;
    }
    for (const auto& each : state_->living()) {
        const std::lock_guard lock(each->mutex);
        each->closed = true;
        each->tell(each);
    }
}

std::size_t EventChannel::subscribers() const { return state_->living().size(); }

// ----------------------------------------------------------------------------------------------- a subscription

EventSubscription::EventSubscription(std::shared_ptr<SubscriberState> state) noexcept : state_(std::move(state)) {}
EventSubscription::EventSubscription(EventSubscription&&) noexcept = default;
EventSubscription& EventSubscription::operator=(EventSubscription&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

EventSubscription::~EventSubscription() {
    if (state_ == nullptr) return;
    const std::lock_guard lock(state_->mutex);
    state_->loop = nullptr;
    state_->queue.clear();
    state_->closed = true;
}

Coro<std::optional<std::string>> EventSubscription::next() {
    for (;;) {
        {
            const std::lock_guard lock(state_->mutex);
            if (!state_->queue.empty()) {
                std::optional<std::string> text(*state_->queue.front());
                state_->queue.pop_front();
                co_return text;
            }
            if (state_->closed) co_return std::nullopt;
            state_->told = false;
            state_->arrived.clear();
        }
        co_await state_->arrived.wait();
    }
}

std::uint64_t EventSubscription::lost() const {
    const std::lock_guard lock(state_->mutex);
    return state_->lost;
}

// ---------------------------------------------------------------------------------------------------- the stream

namespace {

Coro<> send_events(BodyWriter& out, EventSubscription& subscription, Duration heartbeat) {
    co_await out.flush();
    std::optional<Duration> patience;
    if (heartbeat > Duration::zero()) patience = heartbeat;
    for (;;) {
        std::optional<std::string> text;
        bool silent = false;
        try {
            text = co_await wait_for(subscription.next(), patience);
        } catch (const TimeoutError&) {
            silent = true;
        }
        if (silent) {
            co_await out.write(":\n\n");
        } else if (!text) {
            co_return;
        } else {
            co_await out.write(std::move(*text));
        }
    }
}

}  // namespace

Response event_stream(const EventChannel& channel, Duration heartbeat) {
    auto subscription = std::make_shared<EventSubscription>(channel.subscribe());
    auto body = [subscription, heartbeat](BodyWriter& out) -> Coro<> {
        co_await send_events(out, *subscription, heartbeat);
    };
    Response response = Response::stream("text/event-stream", body);
    response.header("Cache-Control", "no-store");
    return response;
}

}  // namespace coaio::http
