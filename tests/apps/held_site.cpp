// SPDX-License-Identifier: MIT
#include "apps/held_site.hpp"

#include <coaio/http/request.hpp>

#include <utility>

namespace tests {

using coaio::http::Request;
using coaio::http::Response;

void HeldSite::open() {
    left_ = -1;
    gate_.set();
}

coaio::Coro<Response> HeldSite::answer(std::string path, std::string html) {
    ++requests_[path];
    if (left_ == 0) {
        held_.set();
        co_await gate_.wait();
    }
    if (left_ > 0) --left_;
    co_return Response::html(std::move(html));
}

coaio::Coro<coaio::http::Router> HeldSite::build() {
    coaio::http::Router app;
    app.get("/", [this](Request&) {
        std::string html = "<title>Home</title><a href=/gone>nowhere</a>\n";
        for (int i = 0; i < pages_; ++i) {
            const std::string path = "/page/" + std::to_string(i);
            html += "<a href=" + path + ">" + path + "</a>\n";
        }
        return answer("/", std::move(html));
    });
    app.get("/page/{number}", [this](Request& request) {
        const auto number = request.param<int>("number");
        const std::string digits = std::to_string(number);
        std::string html = "<title>Page " + digits + "</title>word" + digits + " <a href=/>home</a>";
        if (last_ == LastPage::links_late && number == pages_ - 1) html += "<a href=/late>late</a>";
        return answer(std::string(request.path()), std::move(html));
    });
    if (last_ == LastPage::links_late)
        app.get("/late", [this](Request&) { return answer("/late", "<a href=/>home</a>"); });
    co_return app;
}

}  // namespace tests
