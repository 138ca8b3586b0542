// SPDX-License-Identifier: MIT
#include "exchange.hpp"

#include "encode.hpp"
#include "streamed_body.hpp"
#include "text.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/http/error.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace coaio::http::detail {

namespace {

constexpr std::size_t copied_body = 16 * 1024;
constexpr std::uint64_t redirect_body = 64 * 1024;  // read, to keep the connection
constexpr int most_interim = 32;

/// Until a moment, if there is one.
template <class T>
Coro<T> until(std::optional<TimePoint> when, Coro<T> work) {
    Timeout scope(when);
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
            scope.leave();
            co_return;
        } else {
            T result = co_await std::move(work);
            scope.leave();
            co_return result;
        }
    } catch (...) {
        scope.leave_by_exception();
        throw;
    }
}

std::optional<TimePoint> after(Duration time) {
    if (time <= Duration::zero()) return std::nullopt;
    return coaio::detail::later(Clock::now(), time);
}

std::string basic_credentials(const Url& url) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::string text =
        percent_decode(url.user()).value_or(url.user()) + ":" + percent_decode(url.password()).value_or(url.password());
    std::string out = "Basic ";
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            bits = (bits << 8) | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            out.push_back(i + k > text.size() ? '=' : digits[(bits >> (18 - 6 * k)) & 63]);
        }
    }
    return out;
}

}  // namespace

Exchange::Exchange(std::shared_ptr<ClientState> client, ClientRequest request)
    : client_(std::move(client)), request_(std::move(request)) {
    const RequestOptions& options = request_.options_;
    deadline_ = after(options.timeout.value_or(client_->timeout()));
    redirects_left_ = options.max_redirects.value_or(client_->max_redirects());
    max_body_ = options.max_body.value_or(client_->max_body());
    for (const auto& each : client_->headers()) {
        if (!request_.headers_.contains(each.name)) request_.headers_.add(each.name, each.value);
    }
    ++client_->requests;
}

Exchange::~Exchange() { abandon(); }

void Exchange::abandon() noexcept {
    if (connection_ != nullptr) connection_->close();
    connection_.reset();
    turn_.reset();
}

std::string Exchange::subject() const { return request_.method_ + " " + request_.url_.origin() + request_.url_.path(); }

Coro<> Exchange::run() {
    bool late = false;
    try {
        co_await until(deadline_, run_all());
        co_return;
    } catch (const TimeoutError&) {
        late = deadline_ && Clock::now() >= *deadline_;
        if (!late) throw;
    }
    abandon();
    throw TimeoutError(subject() + ": no answer within its time");
}

Coro<> Exchange::run_all() {
    const Doing doing([this] { return WaitInfo{.what = "request " + subject()}; });
    const std::size_t limit = redirects_left_;
    for (;;) {
        co_await run_once();
        const bool again = limit != 0 && follow();
        if (!again) break;
        if (redirects_left_-- == 0) {
            throw TooManyRedirects(subject() + ": redirected more than " + std::to_string(limit) + " times");
        }
        co_await drop_redirect_body();
    }
    if (client_->decodes() && connection_ != nullptr) {
        const std::string coding = headers_.joined("Content-Encoding");
        if (!coding.empty() && ContentDecoder::knows(coding)) decoder_.emplace(coding, max_body_);
    }
}

Coro<> Exchange::run_once() {
    turn_.emplace(co_await client_->pool->enter(request_.url_.origin()));
    bool fresh = false;
    for (;;) {
        if (!fresh) connection_ = client_->pool->take(turn_->origin());
        const bool reused = connection_ != nullptr;
        if (!reused) co_await connect();
        const Failure failure = co_await attempt(reused);
        if (failure == Failure::none) break;
        // The others may have died with it.
        connection_->close();
        connection_.reset();
        fresh = true;
    }
    take_head();
}

Coro<> Exchange::connect() {
    ++client_->opened;
    net::Stream stream;
    try {
        stream = co_await until(after(client_->connect_timeout()), client_->connect(request_.url_));
    } catch (const TimeoutError&) {
        if (deadline_ && Clock::now() >= *deadline_) throw;
        throw TimeoutError(request_.url_.origin() + ": no connection within the time for one");
    }
    DecodeLimits limits;
    limits.head_bytes = client_->max_head();
    limits.header_count = 1000;
    limits.body_bytes = UINT64_MAX;
    connection_ = std::make_shared<Connection>(std::move(stream), Side::response, limits, ConnectionTimes());
}

bool Exchange::may_repeat() const noexcept {
    static constexpr std::array<std::string_view, 6> safe = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    return !request_.stream_ && std::find(safe.begin(), safe.end(), request_.method_) != safe.end();
}

Coro<Exchange::Failure> Exchange::attempt(bool reused) {
    heard_ = false;
    unsent_ = false;
    std::exception_ptr failure;
    connection_->next_message(request_.method_);
    try {
        co_await send_request();
    } catch (const Error&) {
        if (!connection_->failed()) throw;
        // It may have answered, and closed, before it had all of a long request.
        failure = std::current_exception();
        unsent_ = true;
    }
    try {
        co_await read_answer();
        co_return Failure::none;
    } catch (const ProtocolError&) {
        throw;
    } catch (const Error&) {
        heard_ = heard_ || !connection_->idle();
        if (!failure) failure = std::current_exception();
    }
    if (reused && !heard_ && may_repeat()) co_return Failure::may_repeat;
    std::rethrow_exception(failure);
}

void Exchange::write_head(std::string& out) const {
    Headers headers = request_.headers_;
    if (!headers.contains("User-Agent") && !client_->user_agent().empty()) {
        headers.add("User-Agent", client_->user_agent());
    }
    if (!headers.contains("Accept")) headers.add("Accept", "*/*");
    if (client_->decodes() && !headers.contains("Accept-Encoding")) {
        headers.add("Accept-Encoding", decodable_codings);
    }
    if (!request_.url_.user().empty() && !headers.contains("Authorization")) {
        headers.add("Authorization", basic_credentials(request_.url_));
    }
    if (client_->keeps_cookies() && !headers.contains("Cookie")) {
        const std::string cookies = client_->cookies.header_for(request_.url_, get_running_loop().wall_time());
        if (!cookies.empty()) headers.add("Cookie", cookies);
    }
    RequestPlan plan;
    if (request_.stream_) {
        plan.framing = request_.stream_length_ ? Framing::length : Framing::chunked;
        plan.length = request_.stream_length_.value_or(0);
    } else if (request_.has_body_ || request_.method_ == "POST" || request_.method_ == "PUT") {
        plan.framing = Framing::length;
        plan.length = request_.body_.size();
    }
    plan.keep_alive = !headers.has_word("Connection", "close");
    write_request_head(out, request_.method_, request_.url_.target(), request_.url_.authority(), headers, plan);
}

Coro<> Exchange::send_request() {
    Connection& connection = *connection_;
    if (request_.stream_) {
        std::string head;
        write_head(head);
        co_await send_stream(std::move(head));
        co_return;
    }
    write_head(connection.out());
    if (request_.body_.size() <= copied_body) {
        connection.out().append(request_.body_);
        co_await connection.send();
    } else {
        co_await connection.send(request_.body_);
    }
}

Coro<> Exchange::send_stream(std::string head) {
    StreamedBody writer(*connection_, std::move(head), !request_.stream_length_, request_.stream_length_);
    co_await request_.stream_(writer);
    writer.finish();
    co_await connection_->send();
}

Coro<> Exchange::read_answer() {
    Connection& connection = *connection_;
    for (int interim = 0;; ++interim) {
        const bool got = co_await connection.read_head();
        heard_ = heard_ || got || !connection.idle();
        if (!got)
            throw net::IncompleteReadError({}, std::nullopt, subject() + ": the server closed before it answered");
        const int status = connection.head().status;
        if (status >= 200 || status == 101) co_return;
        if (interim == most_interim) throw ProtocolError(502, subject() + ": too many interim responses");
        if (!connection.skip_arrived()) throw ProtocolError(502, subject() + ": an interim response with a body");
        connection.next_message(request_.method_);
    }
}

void Exchange::take_head() {
    const MessageHead& head = connection_->head();
    status_ = head.status;
    minor_ = head.minor;
    reason_.assign(head.reason);
    headers_ = head.headers;
    length_ = connection_->length();
    reusable_ = head.keep_alive && !head.upgrade && !unsent_ && !request_.headers_.has_word("Connection", "close");
    if (client_->keeps_cookies()) {
        client_->cookies.store(request_.url_, headers_, get_running_loop().wall_time());
    }
    if (head.framing == Framing::none && connection_->skip_arrived()) end_body();
}

bool Exchange::follow() {
    const bool keeps_method = status_ == 307 || status_ == 308;
    if (!keeps_method && status_ != 301 && status_ != 302 && status_ != 303) return false;
    const auto location = headers_.get("Location");
    if (!location || (keeps_method && request_.stream_)) return false;
    auto target = request_.url_.try_resolve(*location);
    if (!target || !target->is_http()) {
        throw ProtocolError(502, subject() + ": redirected to what is not a URL of the web: " + shown(*location));
    }
    history_.push_back(request_.url_);
    const bool elsewhere = target->origin() != request_.url_.origin();
    if (elsewhere) {
        for (const char* name : {"Authorization", "Cookie", "Proxy-Authorization"}) request_.headers_.remove(name);
    }
    const bool to_get = (status_ == 303 && request_.method_ != "HEAD") || (!keeps_method && request_.method_ == "POST");
    if (to_get) {
        request_.method_ = "GET";
        request_.body_.clear();
        request_.stream_ = {};
        request_.has_body_ = false;
        for (const char* name : {"Content-Type", "Content-Encoding", "Content-Language", "Content-Location"}) {
            request_.headers_.remove(name);
        }
    }
    request_.url_ = std::move(*target);
    return true;
}

Coro<> Exchange::drop_redirect_body() {
    std::uint64_t dropped = 0;
    while (connection_ != nullptr && dropped <= redirect_body) {
        const std::string_view piece = co_await read_piece();
        if (piece.empty()) break;
        dropped += piece.size();
    }
    abandon();
}

void Exchange::end_body() {
    if (connection_ == nullptr) return;
    trailers_ = connection_->trailers();
    const bool keep = reusable_ && connection_->is_open() && !connection_->failed() && !connection_->ended() &&
                      !connection_->has_unread();
    if (keep) client_->pool->give(turn_->shared(), std::move(connection_));
    abandon();
}

Coro<std::string_view> Exchange::read_piece() {
    if (connection_ == nullptr) co_return std::string_view();
    std::exception_ptr failure;
    std::string_view piece;
    try {
        piece = co_await connection_->read_some();
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        abandon();
        std::rethrow_exception(failure);
    }
    if (piece.empty()) end_body();
    co_return piece;
}

Coro<std::string_view> Exchange::read_some() {
    for (;;) {
        if (connection_ == nullptr) co_return std::string_view();
        if (deadline_ && Clock::now() >= *deadline_) {
            abandon();
            throw TimeoutError(subject() + ": its body was not read within its time");
        }
        const std::string_view piece = co_await until(deadline_, read_piece());
        std::string_view out = piece;
        if (decoder_) {
            decoded_.clear();
            if (piece.empty()) {
                decoder_->finish();
            } else {
                decoder_->decode(piece, decoded_);
            }
            out = decoded_;
        }
        body_seen_ += out.size();
        if (body_seen_ > max_body_) {
            abandon();
            throw LimitError(502, subject() + ": the body is longer than the " + std::to_string(max_body_) +
                                      " bytes that are taken");
        }
        if (!out.empty() || piece.empty()) co_return out;
    }
}

std::optional<std::uint64_t> Exchange::length() const noexcept { return decoder_ ? std::nullopt : length_; }

}  // namespace coaio::http::detail
