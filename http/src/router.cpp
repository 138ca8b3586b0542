// SPDX-License-Identifier: MIT
#include <coaio/http/router.hpp>

#include "request_access.hpp"
#include "route_tree.hpp"

#include <string>
#include <vector>

namespace coaio::http {

using detail::RequestAccess;
using detail::RouteTree;
using Outcome = detail::RouteTree::Outcome;

struct Router::State {
    RouteTree tree;
    std::vector<Handler> handlers;  // one for each route of the tree
    std::vector<Middleware> middlewares;
};

Router::Router() : state_(std::make_unique<State>()) {}
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

Router& Router::add_middleware(Middleware middleware) {
    state_->middlewares.push_back(std::move(middleware));
    return *this;
}

Router& Router::add_route(std::string_view method, std::string_view pattern, Handler handler) {
    state_->handlers.reserve(state_->handlers.size() + 1);
    state_->tree.add(method, pattern);
    state_->handlers.push_back(std::move(handler));
    return *this;
}

namespace {

Coro<Response> give(Response response) { co_return response; }

Response refusal(const RouteTree& tree, Request& request, Outcome outcome) {
    if (outcome == Outcome::bad_path) {
        return Response::text("the path has a broken percent-encoding, or leads out of its folder\n",
                              Status::bad_request);
    }
    std::string allow = tree.allowed(request.path(), RequestAccess::params(request));
    if (request.path() == "*") allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    if (request.method() == "OPTIONS" && !allow.empty()) return Response::no_content().header("Allow", allow);
    if (allow.empty()) return Response::not_found();
    return Response::text("this path does not take that method\n", Status::method_not_allowed).header("Allow", allow);
}

}  // namespace

Coro<Response> Router::handle(Request& request) const {
    auto match = state_->tree.find(request.method(), request.path(), RequestAccess::params(request));
    bool found = match.outcome == Outcome::found;
    RequestAccess::set_match(request, found ? state_->tree.pattern(match.route) : std::string_view{}, match.route,
                             static_cast<std::uint8_t>(match.outcome));
    return go_on(request, 0);
}

Coro<Response> Router::go_on(Request& request, std::size_t index) const {
    if (index < state_->middlewares.size()) return state_->middlewares[index](request, Next(*this, index + 1));
    auto outcome = static_cast<Outcome>(RequestAccess::outcome(request));
    if (outcome == Outcome::found) return state_->handlers[RequestAccess::route_index(request)](request);
    return give(refusal(state_->tree, request, outcome));
}

Coro<Response> Next::operator()(Request& request) const { return router_->go_on(request, index_); }

}  // namespace coaio::http
