// SPDX-License-Identifier: MIT
#include <coaio/http/client.hpp>

#include "client_state.hpp"
#include "exchange.hpp"

#include <coaio/core/error.hpp>
#include <coaio/net/connect.hpp>

#include <utility>

namespace coaio::http {

using detail::ClientState;
using detail::Exchange;

namespace detail {

ClientState::ClientState(ClientOptions given)
    : options(std::move(given)),
      pool(std::make_shared<Pool>(options.max_per_host_, options.max_idle_, options.idle_timeout_)) {}

namespace {

Coro<net::Stream> connect_by(const Connector& connector, Url origin) { co_return co_await connector(origin); }

}  // namespace

Coro<net::Stream> ClientState::connect(Url origin) {
    if (options.connector_) return connect_by(options.connector_, std::move(origin));
    net::ConnectOptions how;
    if (origin.is_secure()) {
        if (!options.tls_) options.tls_ = net::TlsContext::client();
        how.tls = &*options.tls_;
    }
    return net::connect(std::string(origin.host_name()), origin.port_or_default(), how);
}

}  // namespace detail

// ------------------------------------------------------------------------------------------------------- requests

namespace {

Url fetchable(Url url) {
    if (!url.is_http() || url.host().empty()) {
        throw UrlError("a " + url.scheme() + " URL cannot be fetched: only http and https can");
    }
    return url;
}

Coro<ClientResponse> perform(std::shared_ptr<ClientState> state, ClientRequest request) {
    auto exchange = std::make_unique<Exchange>(std::move(state), std::move(request));
    co_await exchange->run();
    co_return ClientResponse(std::move(exchange));
}

}  // namespace

ClientRequest::ClientRequest(std::string_view method, std::string_view url) : ClientRequest(method, Url::parse(url)) {}

ClientRequest::ClientRequest(std::string_view method, Url url) : method_(method), url_(fetchable(std::move(url))) {}

ClientRequest& ClientRequest::body(std::string text, std::string_view content_type) & {
    body_ = std::move(text);
    stream_ = {};
    has_body_ = true;
    if (!content_type.empty()) headers_.set("Content-Type", content_type);
    return *this;
}

ClientRequest& ClientRequest::add_stream(std::string_view content_type, detail::StreamBody body,
                                         std::optional<std::uint64_t> length) {
    body_.clear();
    stream_ = std::move(body);
    stream_length_ = length;
    has_body_ = true;
    if (!content_type.empty()) headers_.set("Content-Type", content_type);
    return *this;
}

// ------------------------------------------------------------------------------------------------------ responses

ClientResponse::ClientResponse(std::unique_ptr<Exchange> exchange) noexcept : exchange_(std::move(exchange)) {}
ClientResponse::ClientResponse(ClientResponse&&) noexcept = default;
ClientResponse& ClientResponse::operator=(ClientResponse&&) noexcept = default;
ClientResponse::~ClientResponse() = default;

Status ClientResponse::status() const noexcept { return Status(exchange_->status()); }
const std::string& ClientResponse::reason() const noexcept { return exchange_->reason(); }
const Headers& ClientResponse::headers() const noexcept { return exchange_->headers(); }
const Headers& ClientResponse::trailers() const noexcept { return exchange_->trailers(); }
const Url& ClientResponse::url() const noexcept { return exchange_->url(); }
const std::vector<Url>& ClientResponse::history() const noexcept { return exchange_->history(); }
int ClientResponse::minor_version() const noexcept { return exchange_->minor(); }
Coro<std::string_view> ClientResponse::read_some() { return exchange_->read_some(); }
Coro<std::string> ClientResponse::body() { return detail::read_whole(exchange_.get()); }

// ------------------------------------------------------------------------------------------------------ the client

Client::Client() : Client(ClientOptions()) {}
Client::Client(ClientOptions options) : state_(std::make_shared<ClientState>(std::move(options))) {}

Coro<ClientResponse> Client::request(ClientRequest request) const { return perform(state_, std::move(request)); }

Coro<ClientResponse> Client::get(std::string_view url, RequestOptions options) const {
    ClientRequest request("GET", url);
    request.options_ = options;
    return perform(state_, std::move(request));
}

Coro<ClientResponse> Client::head(std::string_view url, RequestOptions options) const {
    ClientRequest request("HEAD", url);
    request.options_ = options;
    return perform(state_, std::move(request));
}

Coro<ClientResponse> Client::post(std::string_view url, std::string body, std::string_view content_type,
                                  RequestOptions options) const {
    ClientRequest request("POST", url);
    request.body(std::move(body), content_type);
    request.options_ = options;
    return perform(state_, std::move(request));
}

CookieJar& Client::cookies() const noexcept { return state_->cookies; }

void Client::close_idle() const noexcept { state_->pool->close_idle(); }

Client::Statistics Client::statistics() const noexcept {
    Statistics statistics;
    statistics.idle = state_->pool->idle();
    statistics.busy = state_->pool->busy();
    statistics.opened = state_->opened;
    statistics.requests = state_->requests;
    return statistics;
}

}  // namespace coaio::http
