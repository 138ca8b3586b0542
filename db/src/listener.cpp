// SPDX-License-Identifier: MIT
#include <coaio/db/listener.hpp>

#include "connect.hpp"
#include "link_pq.hpp"

#include <coaio/db/error.hpp>

#include <utility>

namespace coaio::db {
namespace {

constexpr std::size_t longest_channel = 63;

std::string quoted(std::string_view channel) {
    if (channel.empty()) throw UsageError("a channel needs a name");
    if (channel.size() > longest_channel) {
        throw UsageError("the channel's name is longer than 63 bytes: the server would cut it");
    }
    if (channel.find('\0') != std::string_view::npos) throw UsageError("the channel's name contains a NUL byte");
    std::string text = "\"";
    for (const char c : channel) {
        if (c == '"') text += '"';
        text += c;
    }
    return text += '"';
}

Coro<Listener> open(std::unique_ptr<detail::PqConnector> connector) {
    std::unique_ptr<detail::Link> link = co_await connector->connect();
    std::shared_ptr<detail::PqLink> own(static_cast<detail::PqLink*>(link.release()));
    own->keep_notifications();
    co_return Listener(std::move(own));
}

const std::shared_ptr<detail::PqLink>& require(const std::shared_ptr<detail::PqLink>& link) {
    if (!link) throw UsageError("the listener is closed");
    return link;
}

Coro<> tell(std::shared_ptr<detail::PqLink> link, std::string sql) {
    co_await link->command(std::move(sql), detail::OnCancel::wait);
}

Coro<Notification> hear(std::shared_ptr<detail::PqLink> link) { co_return co_await link->next_notification(); }

}  // namespace

Listener::Listener(std::shared_ptr<detail::PqLink> link) noexcept : link_(std::move(link)) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;
Listener::~Listener() = default;

Coro<Listener> Listener::connect(std::string_view url, ConnectOptions options) {
    return open(std::make_unique<detail::PqConnector>(url, options.connect_values()));
}

Coro<> Listener::listen(std::string_view channel) { return tell(require(link_), "listen " + quoted(channel)); }
Coro<> Listener::unlisten(std::string_view channel) { return tell(require(link_), "unlisten " + quoted(channel)); }
Coro<Notification> Listener::next() { return hear(require(link_)); }

void Listener::close() noexcept {
    if (link_) link_->close();
    link_.reset();
}

}  // namespace coaio::db
