// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/http/detail/callable.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coaio::http {

class Router;

/// The rest of the way to the handler, as a middleware sees it: `co_await next(request)` at most once.
class Next {
public:
    [[nodiscard]] Coro<Response> operator()(Request& request) const;

private:
    friend class Router;
    Next(const Router& router, std::size_t index) noexcept : router_(&router), index_(index) {}

    const Router* router_;
    std::size_t index_;
};

/// A request in, a response out. May be a lambda with captures: the router keeps it alive.
using Handler = detail::Callable<Coro<Response>(Request&)>;
/// The same around a handler: whatever stands before and after `co_await next(request)`.
using Middleware = detail::Callable<Coro<Response>(Request&, Next)>;

/// Says which handler answers which method and path.
///
/// A pattern is plain segments, `{name}` for one segment, and, as the last, `{name...}` for all the rest, even nothing:
/// `/users/{id}`, `/static/{path...}`. Plain text goes before `{name}`, and that before `{name...}`; the order in which
/// routes are added does not matter. A slash at the end counts. Values are percent-decoded, and never a way out of a
/// folder: a `..` in one is answered with 400.
///
/// HEAD is answered by the handler of GET, OPTIONS by the router, each unless it has a route of its own; a path that has
/// other methods is answered with 405 and Allow, another with 404.
///
/// Errors: a broken pattern, or a route that is there already, throws `ValueError`.
/// Lifetime: outlives the requests it handles, and is not changed while it does.
///
///     Router app;
///     app.use([](Request& req, Next next) -> Coro<Response> {
///       auto response = co_await next(req);
///       response.header("X-Frame-Options", "DENY");
///       co_return response;
///     });
///     app.get("/users/{id}", [pool](Request& req) -> Coro<Response> { … req.param<int>("id") … });
class Router {
public:
    Router();
    Router(Router&&) noexcept;
    Router& operator=(Router&&) noexcept;
    ~Router();

    /// Around all handlers, and around the answers 404 and 405 too; the first added is the outermost. Applies to all
    /// routes, whenever they were added.
    template <class F>
    Router& use(F&& middleware) {
        static_assert(std::is_invocable_r_v<Coro<Response>, std::decay_t<F>&, Request&, Next>,
                      "a middleware takes (coaio::http::Request&, coaio::http::Next) and returns "
                      "coaio::Coro<coaio::http::Response>");
        return add_middleware(Middleware(std::forward<F>(middleware)));
    }

    template <class F>
    Router& route(std::string_view method, std::string_view pattern, F&& handler) {
        static_assert(std::is_invocable_r_v<Coro<Response>, std::decay_t<F>&, Request&>,
                      "a handler takes (coaio::http::Request&) and returns coaio::Coro<coaio::http::Response>");
        return add_route(method, pattern, Handler(std::forward<F>(handler)));
    }
    template <class F>
    Router& get(std::string_view pattern, F&& handler) {
        return route("GET", pattern, std::forward<F>(handler));
    }
    template <class F>
    Router& post(std::string_view pattern, F&& handler) {
        return route("POST", pattern, std::forward<F>(handler));
    }
    template <class F>
    Router& put(std::string_view pattern, F&& handler) {
        return route("PUT", pattern, std::forward<F>(handler));
    }
    template <class F>
    Router& patch(std::string_view pattern, F&& handler) {
        return route("PATCH", pattern, std::forward<F>(handler));
    }
    /// DELETE: the word itself belongs to the language.
    template <class F>
    Router& del(std::string_view pattern, F&& handler) {
        return route("DELETE", pattern, std::forward<F>(handler));
    }
    /// Any method that has no route of its own.
    template <class F>
    Router& any(std::string_view pattern, F&& handler) {
        return route("*", pattern, std::forward<F>(handler));
    }

    /// Answers a request. What a handler throws passes through.
    [[nodiscard]] Coro<Response> handle(Request& request) const;

private:
    friend class Next;
    struct State;

    Router& add_middleware(Middleware middleware);
    Router& add_route(std::string_view method, std::string_view pattern, Handler handler);
    [[nodiscard]] Coro<Response> go_on(Request& request, std::size_t index) const;

    std::unique_ptr<State> state_;
};

}  // namespace coaio::http
