// SPDX-License-Identifier: MIT
#include "session.hpp"

#include "request_access.hpp"
#include "response_access.hpp"
#include "streamed_body.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/http/error.hpp>
#include <coaio/net/tls.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace coaio::http::detail {

namespace {

constexpr std::size_t copied_body = 4 * 1024;   // smaller bodies are written behind their head
constexpr std::size_t pending_out = 64 * 1024;  // answers that wait for more to go with them

AnyTask running_task() { return *current_task(); }

}  // namespace

// ------------------------------------------------------------------------------------------------------- the host

std::string_view SessionHost::date_line() { return date_.line(get_running_loop().wall_time()); }

void SessionHost::enter(Session& session) noexcept {
    session.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &session;
    first_ = &session;
}

void SessionHost::leave(Session& session) noexcept {
    if (session.next_ != nullptr) session.next_->previous_ = session.previous_;
    (session.previous_ != nullptr ? session.previous_->next_ : first_) = session.next_;
}

void SessionHost::stop() noexcept {
    stopping_ = true;
    for (Session* each = first_; each != nullptr; each = each->next_) each->stop();
}

void SessionHost::cancel_all() noexcept {
    for (Session* each = first_; each != nullptr; each = each->next_) each->task_.cancel("the server is stopping");
}

// ---------------------------------------------------------------------------------------------------- a connection

Session::Session(SessionHost& host) : host_(host), task_(running_task()) { host_.enter(*this); }

Session::~Session() {
    if (connection_ != nullptr) connection_->close();
    if (running_) --host_.statistics().running;
    host_.leave(*this);
}

void Session::stop() noexcept {
    if (connection_ == nullptr) {
        task_.cancel("the server is stopping");
    } else if (idle_ && connection_->idle()) {
        connection_->stream().close();
    }
}

void Session::on_failure() noexcept {
    if (gone_ || !running_) return;
    gone_ = true;
    task_.cancel("the client is gone");
}

Coro<net::Stream> Session::handshake(net::Stream stream) {
    Timeout deadline(std::nullopt);
    const Duration limit = host_.settings().plain.handshake_timeout;
    if (limit > Duration::zero()) deadline.reschedule(coaio::detail::later(Clock::now(), limit));
    try {
        net::Stream secure = co_await net::accept_tls(std::move(stream), *host_.settings().tls);
        deadline.leave();
        co_return secure;
    } catch (...) {
        deadline.leave_by_exception();
        throw;
    }
}

Coro<> Session::run(net::Stream stream) {
    peer_ = stream.peer_address();
    const auto& settings = host_.settings();
    try {
        if (settings.tls) stream = co_await handshake(std::move(stream));
        secure_ = stream.tls() != nullptr;
        connection_ = std::make_shared<Connection>(std::move(stream), Side::request, settings.limits, settings.times);
        connection_->set_listener(this);
        connection_->set_probe(settings.plain.probe_after);
        connection_->deadlines().attach(task_);
        if (host_.stopping()) co_return;
        co_await serve();
        // The handler has had its say although its client was gone.
        if (gone_) task_.uncancel();
    } catch (const CancelledError&) {
        // The client went, or stalled: that ends the connection, and nothing else.
        const bool mine = gone_ || (connection_ != nullptr && connection_->deadlines().expired());
        if (!mine || task_.uncancel() > 0) throw;
    } catch (const Error&) {  // NOLINT: the connection is lost, or the peer has been told what was wrong
        if (gone_) task_.uncancel();
    }
}

Coro<> Session::serve() {
    Connection& connection = *connection_;
    while (keep_alive_) {
        bool got = false;
        try {
            got = connection.try_head();
            if (!got) {
                if (!connection.out().empty() && !connection.send_at_once()) co_await connection.send();
                if (host_.stopping() && connection.idle()) break;
                idle_ = true;
                got = co_await connection.read_head();
            }
        } catch (const ProtocolError& error) {
            refuse(error.status(), error.what());
        }
        idle_ = false;
        if (!got) break;
        co_await answer();
        if (cut_) co_return;
        if (connection.out().size() > pending_out && !connection.send_at_once()) co_await connection.send();
    }
    if (!connection.is_open()) co_return;
    const bool unread = connection.failed() || connection.has_unread() || !connection.body_ended();
    if (unread) {
        co_await connection.linger();
    } else if (!connection.out().empty()) {
        co_await connection.send();
    }
}

void Session::refuse(int status, std::string_view what) {
    keep_alive_ = false;
    // An idle connection just ends.
    if (connection_->idle() && status == 408) return;
    Response response = Response::text(std::string(what) + "\n", Status(status));
    ResponsePlanInput input;
    input.status = status;
    input.length = response.body().size();
    input.keep_alive = false;
    const ResponsePlan plan = plan_response(input);
    write_head(connection_->out(), response, plan, input);
    connection_->out().append(response.body());
}

Coro<> Session::answer() {
    Connection& connection = *connection_;
    RequestAccess::assign(request_, connection.head());
    RequestAccess::set_connection(request_, &connection,
                                  peer_.family() == net::Address::Family::none ? nullptr : &peer_, secure_);
    running_ = true;
    ++host_.statistics().running;
    connection.watch();
    Response response;
    std::exception_ptr failure;
    try {
        response = co_await host_.router().handle(request_);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) response = answer_to(failure);
    if (response.is_stream()) {
        co_await send_stream(std::move(response));
    } else {
        settle();
        if (put_plain(response)) co_await connection.send(response.body());
    }
    if (cut_ || !keep_alive_) co_return;
    if (!connection.body_ended()) co_await drop_body();
    if (keep_alive_) connection.next_message();
}

void Session::settle() noexcept {
    connection_->unwatch();
    if (!running_) return;
    running_ = false;
    --host_.statistics().running;
    ++host_.statistics().requests;
}

Response Session::answer_to(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const CancelledError&) {
        if (gone_ || task_.cancelling() > 0) throw;
        // Of something that the handler awaited: a failure like any other.
    } catch (const BadRequest& error) {
        return Response::problem(Status(error.status()), error.what());
    } catch (const ProtocolError& error) {
        // The client's fault, unless the handler was itself the client of somebody else.
        if (connection_->peer_at_fault()) return Response::problem(Status(error.status()), error.what());
    } catch (const std::exception&) {  // NOLINT: below
    } catch (const BaseException&) {
        throw;
    } catch (...) {  // NOLINT: below
    }
    if (connection_->failed()) std::rethrow_exception(failure);
    report(failure);
    return Response::text("internal server error\n", Status::internal_server_error);
}

void Session::report(const std::exception_ptr& failure) {
    ExceptionContext context;
    context.message = "the handler of ";
    context.message.append(request_.method()).append(" ");
    context.message.append(request_.route().empty() ? std::string_view("no route") : request_.route())
        .append(" failed");
    context.exception = failure;
    get_running_loop().call_exception_handler(context);
}

bool Session::body_can_be_dropped() {
    Connection& connection = *connection_;
    if (connection.failed()) return false;
    if (connection.body_ended()) return true;
    try {
        if (connection.skip_arrived()) return true;
    } catch (const ProtocolError&) {
        return false;
    }
    if (connection.owes_continue()) return false;
    const auto length = connection.length();
    return !length || *length - connection.body_seen() <= host_.settings().plain.max_drain;
}

ResponsePlanInput Session::plan_input(const Response& response) {
    const MessageHead& head = connection_->head();
    ResponsePlanInput input;
    input.status = response.status().code();
    input.length = response.length();
    input.request_minor = head.minor;
    input.head_request = head.method == "HEAD";
    input.connect = head.method == "CONNECT";
    input.keep_alive = head.keep_alive && !host_.stopping() && !response.headers().has_word("Connection", "close") &&
                       (response.is_stream() || body_can_be_dropped());
    return input;
}

void Session::write_head(std::string& out, const Response& response, const ResponsePlan& plan,
                         const ResponsePlanInput& input) {
    connection_->forbid_probe();
    write_response_head(out, input.status, {}, response.headers(), plan, input, host_.date_line(),
                        host_.settings().server);
}

bool Session::put_plain(const Response& response) {
    const ResponsePlanInput input = plan_input(response);
    const ResponsePlan plan = plan_response(input);
    keep_alive_ = plan.keep_alive;
    write_head(connection_->out(), response, plan, input);
    if (!plan.send_body) return false;
    if (response.body().size() > copied_body) return true;
    connection_->out().append(response.body());
    return false;
}

Coro<> Session::send_stream(Response response) {
    ResponsePlanInput input = plan_input(response);
    ResponsePlan plan = plan_response(input);
    if (!plan.send_body) {  // it ends with its head, as a plain one does
        input.keep_alive = input.keep_alive && body_can_be_dropped();
        plan = plan_response(input);
    }
    keep_alive_ = plan.keep_alive;
    if (!plan.send_body) {
        settle();
        write_head(connection_->out(), response, plan, input);
        co_return;
    }
    std::string head;
    write_response_head(head, input.status, {}, response.headers(), plan, input, host_.date_line(),
                        host_.settings().server);
    StreamedBody writer(*connection_, std::move(head), plan.framing == Framing::chunked, input.length);
    std::exception_ptr failure;
    try {
        co_await ResponseAccess::stream(response)(writer);
        writer.finish();
    } catch (...) {
        failure = std::current_exception();
    }
    settle();
    if (!failure) {
        keep_alive_ = keep_alive_ && body_can_be_dropped();
        co_return;
    }
    if (!writer.begun()) {
        const Response told = answer_to(failure);
        if (put_plain(told)) co_await connection_->send(told.body());
        co_return;
    }
    cut_ = true;
    static_cast<void>(answer_to(failure));  // says who is to hear of it
    connection_->close();
}

Coro<> Session::drop_body() {
    Connection& connection = *connection_;
    const std::uint64_t limit = connection.body_seen() + host_.settings().plain.max_drain;
    try {
        while (!connection.body_ended()) {
            static_cast<void>(co_await connection.read_some());
            if (connection.body_seen() > limit) keep_alive_ = false;
            if (!keep_alive_) co_return;
        }
    } catch (const ProtocolError&) {
        keep_alive_ = false;
    }
}

Coro<> run_session(SessionTicket ticket, net::Stream stream) {
    Session session(ticket.host());
    co_await session.run(std::move(stream));
}

}  // namespace coaio::http::detail
