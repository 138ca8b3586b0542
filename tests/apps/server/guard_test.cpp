// SPDX-License-Identifier: MIT
#include "server/guard.hpp"

#include <coaio/core/run.hpp>
#include <coaio/http/client.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

namespace {

struct Asker {
    std::string host;
    std::string origin;
    int status;
};

coaio::Coro<int> ask_as(coaio::http::Client client, std::string url, Asker asker) {
    coaio::http::ClientRequest request("GET", url);
    if (!asker.host.empty()) request.header("Host", asker.host);
    if (!asker.origin.empty()) request.header("Origin", asker.origin);
    const auto response = co_await client.request(std::move(request));
    co_return response.status();
}

// A site whose name has come to mean this machine, and pages of other sites.
coaio::Coro<> ask_in_the_name_of_others() {
    const tests::Database database;
    const std::string flag = "--database-url=" + database.conninfo();
    tests::Program closed({flag});
    tests::Program shown({flag, "--public-host=crawls.example"});
    tests::Program open({flag, "--host=0.0.0.0"});
    const coaio::http::Client client;
    const auto url = co_await closed.ready();
    const std::string own = url.substr(url.find("//") + 2);
    const std::vector<Asker> askers = {{"", "", 200},
                                       {"LocalHost:1", "", 200},
                                       {"[::1]:1", "", 200},
                                       {"", url, 200},
                                       {"evil.example", "", 403},
                                       {"127.evil.example", "", 403},
                                       {"localhost.evil.example:80", "", 403},
                                       {"crawls.example", "", 403},
                                       {"", "http://evil.example", 403},
                                       {"", "http://localhost:1", 403},
                                       {"", "null", 403},
                                       {own, "https://" + own + ".evil.example", 403}};
    for (const auto& asker : askers) {
        INFO(asker.host << " and " << asker.origin);
        const int status = co_await ask_as(client, url + "/api/crawls", asker);
        CHECK(status == asker.status);
    }
    const Asker stranger{"evil.example", "http://evil.example", 200};
    const int encoded = co_await ask_as(client, url + "/%61pi/crawls", stranger);
    CHECK(encoded == 403);
    const int alive = co_await ask_as(client, url + "/livez", stranger);
    CHECK(alive == 200);

    const auto shown_url = co_await shown.ready();
    const Asker through_proxy{"crawls.example", "https://crawls.example", 200};
    const int shown_status = co_await ask_as(client, shown_url + "/api/crawls", through_proxy);
    CHECK(shown_status == 200);
    const int strange = co_await ask_as(client, shown_url + "/api/crawls", stranger);
    CHECK(strange == 403);
    // What listens to everybody has names that it does not know.
    const auto everywhere = co_await open.ready();
    const auto open_url = "http://127.0.0.1" + everywhere.substr(everywhere.rfind(':'));
    const int open_status = co_await ask_as(client, open_url + "/api/crawls", stranger);
    CHECK(open_status == 200);
}

}  // namespace

TEST_CASE("on loopback the API answers nobody who takes the server for another host, and no page of another site") {
    coaio::run(ask_in_the_name_of_others());
}
