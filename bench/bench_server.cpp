// SPDX-License-Identifier: MIT
// coaio-bench-server: the TechEmpower endpoints and a TCP echo, as plainly as a user would write them. Told what to do by
// its environment: PORT ECHO_PORT WORKERS, PGHOST PGPORT PGUSER PGDATABASE, DB_CONNS (of which two are shared), NO_DB=1.

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
    std::string_view message;  // in the rows
};

constexpr std::string_view select_world = "select id, randomnumber from world where id = $1";

std::int32_t random_id() { return static_cast<std::int32_t>(coaio::get_running_loop().random() % 10'000) + 1; }

void append_number(std::string& text, std::int32_t number) {
    std::array<char, 12> digits;
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    text.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

constexpr std::size_t longest_json = 48;  // of one world

// Two numbers are written sooner than a document of them is built.
void append_json(std::string& text, const World& world) {
    constexpr std::string_view before = R"({"id":)";
    constexpr std::string_view between = R"(,"randomNumber":)";
    std::array<char, longest_json> json;
    char* const end = json.data() + json.size();
    char* at = std::copy(before.begin(), before.end(), json.data());
    at = std::to_chars(at, end, world.id).ptr;
    at = std::copy(between.begin(), between.end(), at);
    at = std::to_chars(at, end, world.random_number).ptr;
    *at++ = '}';
    text.append(json.data(), static_cast<std::size_t>(at - json.data()));
}

std::string to_json(const World& world) {
    std::string text;
    text.reserve(longest_json);
    append_json(text, world);
    return text;
}

std::string to_json(const std::vector<World>& worlds) {
    std::string text;
    text.reserve(worlds.size() * longest_json);
    text += '[';
    for (const World& world : worlds) {
        if (text.size() > 1) text += ',';
        append_json(text, world);
    }
    text += ']';
    return text;
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

Coro<std::vector<World>> random_worlds(const db::Connection& connection, std::size_t count) {
    std::vector<std::int32_t> ids(count);
    std::generate(ids.begin(), ids.end(), random_id);
    const std::vector<db::Rows> found = co_await connection.query_each(select_world, ids);
    std::vector<World> worlds;
    worlds.reserve(count);
    for (const db::Rows& rows : found) worlds.push_back(rows.one<World>());
    co_return worlds;
}

Coro<std::vector<World>> updated_worlds(const db::Connection& connection, std::size_t count) {
    std::vector<World> worlds = co_await random_worlds(connection, count);
    // In the order of their ids, so that two updates at once cannot wait for each other.
    std::sort(worlds.begin(), worlds.end(), [](const World& a, const World& b) { return a.id < b.id; });
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> numbers;
    for (World& world : worlds) {
        world.random_number = random_id();
        ids.push_back(world.id);
        numbers.push_back(world.random_number);
    }
    co_await connection.execute(
        "update world set randomnumber = v.number from (select unnest($1::int[]) as id, unnest($2::int[]) as number) v "
        "where world.id = v.id",
        ids, numbers);
    co_return worlds;
}

constexpr std::array<std::string_view, 256> make_escapes() {
    std::array<std::string_view, 256> escapes;
    escapes['<'] = "&lt;";
    escapes['>'] = "&gt;";
    escapes['&'] = "&amp;";
    escapes['"'] = "&quot;";
    escapes['\''] = "&#39;";
    return escapes;
}

constexpr std::array<std::string_view, 256> escapes = make_escapes();  // empty: it stands for itself

void append_escaped(std::string& html, std::string_view text) {
    const auto stands_out = [](char c) { return !escapes[static_cast<unsigned char>(c)].empty(); };
    for (;;) {
        const auto at = std::find_if(text.begin(), text.end(), stands_out);
        const auto plain = static_cast<std::size_t>(at - text.begin());
        html.append(text.substr(0, plain));
        if (at == text.end()) return;
        html.append(escapes[static_cast<unsigned char>(*at)]);
        text.remove_prefix(plain + 1);
    }
}

std::string fortunes_page(const db::Rows& rows) {
    std::vector<Fortune> fortunes;
    fortunes.reserve(rows.size() + 1);
    for (const Fortune& fortune : rows.as<Fortune>()) fortunes.push_back(fortune);
    fortunes.push_back({0, "Additional fortune added at request time."});
    std::sort(fortunes.begin(), fortunes.end(),
              [](const Fortune& a, const Fortune& b) { return a.message < b.message; });
    std::string html;
    html.reserve(2'048);
    html +=
        "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>";
    for (const Fortune& fortune : fortunes) {
        html += "<tr><td>";
        append_number(html, fortune.id);
        html += "</td><td>";
        append_escaped(html, fortune.message);
        html += "</td></tr>";
    }
    html += "</table></body></html>";
    return html;
}

/// Statements that only read share connections; what needs one to itself takes it of another pool.
struct Pools {
    db::Pool shared;
    db::Pool own;
};

Coro<Pools> open_pools() {
    const auto connections = env_number<std::size_t>("DB_CONNS", 18);
    const std::size_t shared = std::min<std::size_t>(2, connections);
    const std::string url = database_url();
    const auto sharing = db::PoolOptions().max_size(shared).pipelining(64);
    const auto owning = db::PoolOptions().max_size(std::max<std::size_t>(connections - shared, 1));
    const db::Pool first = co_await db::Pool::connect(url, sharing);
    const db::Pool second = co_await db::Pool::connect(url, owning);
    const Pools pools{first, second};
    co_return pools;
}

void add_database(http::Router& app, const Pools& pools) {
    app.get("/db", [pool = pools.shared](http::Request&) -> Coro<http::Response> {
        const World world = co_await random_world(pool);
        co_return http::Response::json_text(to_json(world));
    });
    app.get("/queries", [pool = pools.own](http::Request& request) -> Coro<http::Response> {
        const db::Connection connection = co_await pool.acquire();
        const std::vector<World> worlds = co_await random_worlds(connection, count_of(request));
        co_return http::Response::json_text(to_json(worlds));
    });
    app.get("/updates", [pool = pools.own](http::Request& request) -> Coro<http::Response> {
        const db::Connection connection = co_await pool.acquire();
        const std::vector<World> worlds = co_await updated_worlds(connection, count_of(request));
        co_return http::Response::json_text(to_json(worlds));
    });
    app.get("/fortunes", [pool = pools.shared](http::Request&) -> Coro<http::Response> {
        const db::Rows rows = co_await pool.query("select id, message from fortune");
        co_return http::Response::html(fortunes_page(rows));
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
        const Pools pools = co_await open_pools();
        add_database(app, pools);
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
