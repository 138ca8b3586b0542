// SPDX-License-Identifier: MIT
// coaio-bench-server: the TechEmpower endpoints and a TCP echo, as plainly as a user would write them. Told what to do by
// its environment: PORT ECHO_PORT WORKERS, PGHOST PGPORT PGUSER PGDATABASE, DB_CONNS (the pool's size),
// DB_PIPELINING (statements on one connection at once), NO_DB=1.

#include <nlohmann/json.hpp>

#include <coaio/core.hpp>
#include <coaio/db.hpp>
#include <coaio/http.hpp>
#include <coaio/net.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace db = coaio::db;
namespace http = coaio::http;
namespace net = coaio::net;
using coaio::Coro;

namespace {

std::string env(const char* name, const char* fallback) {
    const char* const value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : fallback;
}

template <class Number>
Number env_number(const char* name, Number fallback) {
    const std::string text = env(name, "");
    std::from_chars(text.data(), text.data() + text.size(), fallback);
    return fallback;
}

std::string database_url() {
    return "host=" + env("PGHOST", "127.0.0.1") + " port=" + env("PGPORT", "5432") + " user=" + env("PGUSER", "bench") +
           " dbname=" + env("PGDATABASE", "bench") + " sslmode=disable";
}

struct World {
    std::int32_t id;
    std::int32_t random_number;
};

struct Fortune {
    std::int32_t id;
    std::string message;
};

constexpr std::string_view select_world = "select id, randomnumber from world where id = $1";

std::int32_t random_id() { return static_cast<std::int32_t>(coaio::get_running_loop().random() % 10'000) + 1; }

nlohmann::json to_json(const World& world) { return {{"id", world.id}, {"randomNumber", world.random_number}}; }

nlohmann::json to_json(const std::vector<World>& worlds) {
    auto list = nlohmann::json::array();
    for (const World& world : worlds) list.push_back(to_json(world));
    return list;
}

// How many rows were asked for: 1 to 500, 1 for nonsense.
std::size_t count_of(http::Request& request) {
    const std::string text = request.query<std::string>("n").value_or("");
    std::size_t count = 1;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return std::clamp<std::size_t>(count, 1, 500);
}

Coro<World> random_world(db::Pool pool) {
    const auto world = co_await pool.query_one<World>(select_world, random_id());
    if (!world) throw http::HttpError("the table world has no such row: load the bench's data first");
    co_return *world;
}

Coro<std::vector<World>> random_worlds(db::Pool pool, std::size_t count) {
    std::vector<Coro<World>> queries;
    queries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) queries.push_back(random_world(pool));
    co_return co_await coaio::gather(std::move(queries));
}

Coro<std::vector<World>> updated_worlds(db::Pool pool, std::size_t count) {
    std::vector<World> worlds = co_await random_worlds(pool, count);
    // In the order of their ids, so that two updates at once cannot wait for each other.
    std::sort(worlds.begin(), worlds.end(), [](const World& a, const World& b) { return a.id < b.id; });
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> numbers;
    for (World& world : worlds) {
        world.random_number = random_id();
        ids.push_back(world.id);
        numbers.push_back(world.random_number);
    }
    co_await pool.execute(
        "update world set randomnumber = v.number from (select unnest($1::int[]) as id, unnest($2::int[]) as number) v "
        "where world.id = v.id",
        ids, numbers);
    co_return worlds;
}

void append_escaped(std::string& html, std::string_view text) {
    for (const char c : text) {
        switch (c) {
        case '<': html += "&lt;"; break;
        case '>': html += "&gt;"; break;
        case '&': html += "&amp;"; break;
        case '"': html += "&quot;"; break;
        case '\'': html += "&#39;"; break;
        default: html += c;
        }
    }
}

std::string fortunes_page(std::vector<Fortune> fortunes) {
    fortunes.push_back({0, "Additional fortune added at request time."});
    std::sort(fortunes.begin(), fortunes.end(),
              [](const Fortune& a, const Fortune& b) { return a.message < b.message; });
    std::string html =
        "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>";
    for (const Fortune& fortune : fortunes) {
        html.append("<tr><td>").append(std::to_string(fortune.id)).append("</td><td>");
        append_escaped(html, fortune.message);
        html += "</td></tr>";
    }
    return html + "</table></body></html>";
}

void add_database(http::Router& app, const db::Pool& pool) {
    app.get("/db", [pool](http::Request&) -> Coro<http::Response> {
        const World world = co_await random_world(pool);
        co_return http::Response::json(to_json(world));
    });
    app.get("/queries", [pool](http::Request& request) -> Coro<http::Response> {
        const std::vector<World> worlds = co_await random_worlds(pool, count_of(request));
        co_return http::Response::json(to_json(worlds));
    });
    app.get("/updates", [pool](http::Request& request) -> Coro<http::Response> {
        const std::vector<World> worlds = co_await updated_worlds(pool, count_of(request));
        co_return http::Response::json(to_json(worlds));
    });
    app.get("/fortunes", [pool](http::Request&) -> Coro<http::Response> {
        const db::Rows rows = co_await pool.query("select id, message from fortune");
        co_return http::Response::html(fortunes_page(rows.as<Fortune>().to_vector()));
    });
}

Coro<http::Router> build_app() {
    http::Router app;
    app.get("/plaintext",
            [](http::Request&) -> Coro<http::Response> { co_return http::Response::text("Hello, World!"); });
    app.get("/json", [](http::Request&) -> Coro<http::Response> {
        const nlohmann::json message{{"message", "Hello, World!"}};
        co_return http::Response::json(message);
    });
    if (env("NO_DB", "").empty()) {
        const std::string url = database_url();
        const auto options = db::PoolOptions()
                                 .max_size(env_number<std::size_t>("DB_CONNS", 16))
                                 .pipelining(env_number<std::size_t>("DB_PIPELINING", 64));
        add_database(app, co_await db::Pool::connect(url, options));
    }
    co_return app;
}

Coro<> echo(net::Stream& stream) {
    std::array<char, 64 * 1024> buffer;
    for (;;) {
        const std::size_t count = co_await stream.read_some(buffer);
        if (count == 0) co_return;
        co_await stream.write(std::string_view(buffer.data(), count));
    }
}

Coro<> amain() {
    const auto main = *coaio::current_task();
    coaio::get_running_loop().add_signal_handler(SIGTERM, [main] { main.cancel(); });
    http::Server server(
        build_app, {.port = env_number<std::uint16_t>("PORT", 8080), .workers = env_number<std::size_t>("WORKERS", 1)});
    co_await server.start();
    net::Listener listener = co_await net::listen("127.0.0.1", env_number<std::uint16_t>("ECHO_PORT", 8081));
    std::cout << "listening on " << server.url() << std::endl;
    try {
        co_await coaio::gather(server.serve(), net::serve(listener, echo));
    } catch (const coaio::CancelledError&) {
        // SIGTERM: the gather has passed the cancellation on to both.
    }
    co_await server.stop();
}

}  // namespace

int main() {
    coaio::run(amain());
    return 0;
}
