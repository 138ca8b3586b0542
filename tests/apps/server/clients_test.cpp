// SPDX-License-Identifier: MIT
#include "server/app.hpp"

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/connect.hpp>
#include <coaio/net/stream.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"
#include "support/timely.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "store/schema.hpp"
#include "support.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int client_count = 64;
constexpr int request_count = 2000;

struct Fates {
    std::vector<std::string> acknowledged;
    int begun = 0;
    int hung_up = 0;
};

// The head of an answer, or as much as came before the client lost patience.
coaio::Coro<std::string> read_head(coaio::net::Stream& stream) {
    std::string head;
    std::array<std::byte, 4096> buffer{};
    while (head.find("\r\n\r\n") == std::string::npos) {
        const auto count = co_await stream.read_some(std::span(buffer));
        if (count == 0) break;
        head.append(reinterpret_cast<const char*>(buffer.data()), count);
    }
    co_return head;
}

coaio::Coro<> hang_up_after(int turns) {
    for (int i = 0; i < turns; ++i) co_await coaio::sleep(0s);
}

// Half of the requests are given up after some turns of the loop, which is the server's too: from before the request is
// read until after its commit.
coaio::Coro<> one_client(std::uint16_t port, std::mt19937 random, Fates& fates) {
    while (fates.begun < request_count) {
        const std::string address = "http://example.org/" + std::to_string(fates.begun++);
        const std::string body = R"({"url":")" + address + R"("})";
        const std::string request = "POST /api/crawls HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                    "Content-Length: " +
                                    std::to_string(body.size()) + "\r\n\r\n" + body;
        auto stream = co_await coaio::net::connect("127.0.0.1", port);
        co_await stream.write(request);
        if (random() % 2 == 0) {
            co_await hang_up_after(static_cast<int>(random() % 60));
            ++fates.hung_up;
            continue;  // closes it
        }
        const auto head = co_await read_head(stream);
        if (head.starts_with("HTTP/1.1 201 ")) fates.acknowledged.push_back(address);
    }
}

coaio::Coro<> hang_up_on_the_server(const tests::Database& database) {
    server::Shared shared;
    shared.database = database.conninfo();
    shared.ready = true;
    {
        const coaio::db::Pool pool(shared.database, store::pool_options(1, "coaio-server"));
        co_await store::create_schema(pool);
        co_await pool.close();
    }
    coaio::http::Server app([&shared](coaio::Scope&) { return server::build_app(shared); }, {.port = 0});
    co_await app.start();
    const tests::StepLimit steps(coaio::get_running_loop());
    Fates fates;
    const auto body = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
        for (int i = 0; i < client_count; ++i) {
            group.create_task(one_client(app.port(), std::mt19937(static_cast<unsigned>(i)), fates));
        }
        co_return;
    };
    co_await coaio::task_group(body);
    steps.check();
    CHECK(fates.begun == request_count);
    CHECK(fates.hung_up > request_count / 3);
    CHECK(fates.acknowledged.size() + static_cast<std::size_t>(fates.hung_up) == request_count);

    // What is under way for those who hung up comes to its end.
    const coaio::TimePoint deadline = coaio::Clock::now() + 20s;
    std::string busy;
    do {
        co_await coaio::sleep(20ms);
        busy = database.value("select count(*) from pg_stat_activity where datname = current_database() "
                              "and pid <> pg_backend_pid() and state <> 'idle'");
    } while (busy != "0" && coaio::Clock::now() < deadline);
    CHECK(busy == "0");
    std::string figures;
    do {
        co_await coaio::sleep(100ms);
        const auto reply = co_await tests::get(coaio::http::Client(), app.url() + "/metrics");
        figures = reply.text;
    } while (figures.find("coaio_db_pool_in_use 0\n") == std::string::npos && coaio::Clock::now() < deadline);
    CHECK_THAT(figures, tests::contains("coaio_db_pool_in_use 0\n"));
    CHECK_THAT(figures, tests::contains("coaio_db_pool_waiting 0\n"));
    CHECK(database.sessions() <= static_cast<int>(shared.pool_size));

    std::size_t found = 0;
    const auto rows = database.sql("select urls[1], count(*) from coaio.crawls group by 1");
    std::map<std::string, std::string> counts;
    for (const auto& row : rows) counts.emplace(row.at(0).value(), row.at(1).value());
    for (const auto& address : fates.acknowledged) found += counts[address] == "1" ? 1U : 0U;
    CHECK(found == fates.acknowledged.size());
    for (const auto& [address, count] : counts) {
        INFO(address);
        if (!count.empty()) CHECK(count == "1");
    }
    co_await app.stop();
}

}  // namespace

TEST_CASE("64 clients that hang up at random: each acknowledged crawl is there once, and the pool is idle") {
    const tests::Database database;
    coaio::run(hang_up_on_the_server(database));
}
