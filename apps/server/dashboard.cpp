// SPDX-License-Identifier: MIT
#include "server/dashboard.hpp"

#include <string>

#include <coaio/core/coro.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>

namespace server {
namespace {

using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Status;

std::string_view type_of(std::string_view name) {
    if (name.ends_with(".html")) return "text/html; charset=utf-8";
    if (name.ends_with(".css")) return "text/css; charset=utf-8";
    return "text/javascript; charset=utf-8";
}

Response serve(const DashboardFile& file) {
    Response response(Status::ok, std::string(file.text), type_of(file.name));
    response.header("Cache-Control", "no-cache")
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Content-Security-Policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                "form-action 'none'; base-uri 'none'; frame-ancestors 'none'");
    return response;
}

}  // namespace

void add_dashboard_routes(coaio::http::Router& app) {
    for (const DashboardFile& file : dashboard_files()) {
        const std::string path = file.name == "index.html" ? "/" : "/" + std::string(file.name);
        app.get(path, [&file](Request&) -> coaio::Coro<Response> { co_return serve(file); });
    }
}

}  // namespace server
