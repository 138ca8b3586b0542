// SPDX-License-Identifier: MIT
// The listings of README.md, compiled and run.
#include <nlohmann/json.hpp>

#include <coaio/core.hpp>
#include <coaio/db.hpp>
#include <coaio/http.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <cstdint>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

// [program]
using namespace std::chrono_literals;

coaio::Coro<std::string> greet(std::string name, coaio::Duration after) {
    co_await coaio::sleep(after);
    std::cout << "hello " << name << std::endl;
    co_return name;
}

coaio::Coro<> amain() {
    auto [first, second] = co_await coaio::gather(greet("world", 20ms), greet("coaio", 10ms));
    try {
        co_await coaio::wait_for(greet(first + " and " + second, 1h), 1s);
    } catch (const coaio::TimeoutError&) {
        std::cout << "timeout!" << std::endl;
    }
}
// [/program]

namespace {

// [server]
struct User {
    std::int32_t id;
    std::string name;
};

coaio::http::Router make_app(coaio::db::Pool pool) {
    coaio::http::Router app;
    app.get("/users/{id}", [pool](coaio::http::Request& request) -> coaio::Coro<coaio::http::Response> {
        const int id = request.param<int>("id");
        auto user = co_await pool.query_one<User>("select id, name from users where id = $1", id);
        if (!user) co_return coaio::http::Response::not_found();
        const nlohmann::json body{{"id", user->id}, {"name", user->name}};
        co_return coaio::http::Response::json(body);
    });
    return app;
}
// [/server]

// [client]
coaio::Coro<std::string> fetch(std::string url) {
    coaio::http::Client client;
    auto response = co_await client.get(url, {.timeout = 5s});
    co_return co_await response.text();
}
// [/client]

// [transaction]
coaio::Coro<std::int32_t> sign_up(coaio::db::Pool pool, std::string name) {
    auto body = [&](coaio::db::Transaction& tx) -> coaio::Coro<std::int32_t> {
        co_await tx.execute("insert into audit(what) values ($1)", "signup");
        co_return co_await tx.query_value<std::int32_t>("insert into users(name) values ($1) returning id", name);
    };
    co_return co_await pool.transaction(body);  // an exception or a cancellation rolls back; COMMIT is masked
}
// [/transaction]

coaio::Coro<std::string> serve_and_fetch(std::string url) {
    const auto options = coaio::db::PoolOptions().max_size(2);
    const auto pool = co_await coaio::db::Pool::connect(url, options);
    co_await pool.execute("create table users(id int generated always as identity, name text)");
    co_await pool.execute("create table audit(what text)");
    const std::int32_t id = co_await sign_up(pool, "Ada");
    auto build = [pool](coaio::Scope&) -> coaio::Coro<coaio::http::Router> { co_return make_app(pool); };
    coaio::http::Server server(build, {.port = 0});
    co_await server.start();
    const std::string address = server.url() + "/users/" + std::to_string(id);
    const std::string body = co_await fetch(address);
    co_await server.stop();
    co_await pool.close();
    co_return body;
}

}  // namespace

TEST_CASE("the program of README.md prints what the page says") {
    std::ostringstream captured;
    std::streambuf* const terminal = std::cout.rdbuf(captured.rdbuf());
    coaio::testing::run(amain());
    std::cout.rdbuf(terminal);
    REQUIRE(captured.str() == "hello coaio\nhello world\ntimeout!\n");
}

TEST_CASE("the server, the client and the transaction of README.md work together", "[pgtest]") {
    tests::Database database;
    REQUIRE(coaio::run(serve_and_fetch(database.conninfo())) == R"({"id":1,"name":"Ada"})");
}
