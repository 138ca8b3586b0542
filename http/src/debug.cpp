// SPDX-License-Identifier: MIT
#include <coaio/http/debug.hpp>

#include <coaio/core/dump.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/http/media_type.hpp>
#include <coaio/net/address.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace coaio::http {

namespace {

bool is_loopback(std::string_view host) {
    return host == "::1" || host.starts_with("127.") || host.starts_with("::ffff:127.");
}

bool is_local(const net::Address* peer) {
    if (peer == nullptr) return true;
    switch (peer->family()) {
    case net::Address::Family::ipv4:
    case net::Address::Family::ipv6: return is_loopback(peer->host());
    case net::Address::Family::local:
    case net::Address::Family::none: break;
    }
    return true;
}

bool names_this_machine(std::string_view authority) {
    std::string_view host = authority;
    if (host.starts_with('[')) {
        host = host.substr(1, host.find(']') - 1);
    } else {
        host = host.substr(0, host.find(':'));
        const bool numeric = host.find_first_not_of("0123456789.") == std::string_view::npos;
        if (!numeric) {
            static constexpr std::string_view name = "localhost";
            const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; };
            return std::ranges::equal(host, name, same);
        }
    }
    return host.empty() || is_loopback(host);
}

bool is_forwarded(const Request& request) {
    static constexpr std::array<std::string_view, 4> marks = {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"};
    return std::ranges::any_of(marks, [&](std::string_view name) { return request.headers().contains(name); });
}

bool comes_from_here(const Request& request) {
    return is_local(request.peer()) && !is_forwarded(request) && names_this_machine(request.host());
}

bool wants_json(const Request& request) {
    if (const auto format = request.query("format")) return *format == "json";
    const std::string accept = request.headers().joined("Accept");
    if (accept.empty()) return false;
    const auto best = negotiate(accept, {"text/plain", "application/json"});
    return best && *best == "application/json";
}

Coro<Response> answer(Request& request, DebugOptions options) {
    if (!options.anybody && !comes_from_here(request)) {
        co_return Response::problem(403, "what runs inside is shown to this machine only");
    }
    const bool json = wants_json(request);
    const DumpOptions how{.format = json ? DumpFormat::json : DumpFormat::text, .limit = options.limit};
    const auto ask = [how] { return dump_tasks(all_loops, how); };
    std::string text = co_await to_thread(ask);
    Response response = json ? Response::json_text(std::move(text)) : Response::text(std::move(text));
    response.header("Cache-Control", "no-store");
    co_return response;
}

}  // namespace

Handler debug_tasks(DebugOptions options) {
    return [options](Request& request) { return answer(request, options); };
}

}  // namespace coaio::http
