// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>
#include <coaio/http/response.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coaio::http {

/// A server-sent event (the HTML standard, 9.2). A value that owns its texts.
class SentEvent {
public:
    SentEvent() = default;
    explicit SentEvent(std::string data) : data_(std::move(data)) {}

    /// What the page listens to; empty: "message". Throws `ValueError` for a line break.
    SentEvent& type(std::string_view name) &;
    SentEvent&& type(std::string_view name) && { return std::move(type(name)); }
    /// What a client sends as `Last-Event-ID` when it comes again. Throws `ValueError` for a line break or NUL.
    SentEvent& id(std::string_view id) &;
    SentEvent&& id(std::string_view id) && { return std::move(this->id(id)); }

    /// As it is sent, with the empty line behind it.
    [[nodiscard]] std::string text() const;

private:
    std::string data_, type_, id_;
};

class EventSubscription;

namespace detail {
struct ChannelState;
struct SubscriberState;
}  // namespace detail

/// Carries events from wherever they happen to every loop that subscribes: between the workers of a server. A handle:
/// copies mean the same channel. May be used from any thread.
///
/// Each subscriber has a queue of its own, of bounded length; one that does not keep up loses its oldest events, and
/// `lost()` says so. Nobody who publishes ever waits.
///
///     EventChannel events;                                    // before serve; copied into build_app
///     events.publish(SentEvent("{\"page\":1}").type("page"));    // on any worker
///     app.get("/events", [events](Request&) -> Coro<Response> { co_return event_stream(events); });
class EventChannel {
public:
    explicit EventChannel(std::size_t queue = 256);

    /// Hands the event to all who subscribe now.
    void publish(const SentEvent& event) const;
    /// For the loop that runs in this thread, from now on.
    [[nodiscard]] EventSubscription subscribe() const;
    /// Ends all subscriptions, once they have given out what they hold; nobody can subscribe any more.
    void close() const;
    [[nodiscard]] std::size_t subscribers() const;

private:
    std::shared_ptr<detail::ChannelState> state_;
};

/// One loop's end of an `EventChannel`; ends when it goes. Belongs to its loop.
class EventSubscription {
public:
    EventSubscription(EventSubscription&&) noexcept;
    EventSubscription& operator=(EventSubscription&&) noexcept;
    ~EventSubscription();

    /// The next event's text; none once the channel is closed. One task at a time.
    /// Cancellation: loses no event.
    [[nodiscard]] Coro<std::optional<std::string>> next();
    /// How many events were dropped because they came too fast.
    [[nodiscard]] std::uint64_t lost() const;

private:
    friend class EventChannel;
    explicit EventSubscription(std::shared_ptr<detail::SubscriberState> state) noexcept;
    std::shared_ptr<detail::SubscriberState> state_;
};

/// A response that sends the channel's events for as long as the client stays: text/event-stream, not to be cached. With
/// nothing to say it sends a comment every `heartbeat`, so that neither end takes the other for dead; zero: never.
[[nodiscard]] Response event_stream(const EventChannel& channel, Duration heartbeat = std::chrono::seconds(15));

}  // namespace coaio::http
