// SPDX-License-Identifier: MIT
#include "support/postgres_proxy.hpp"

#include <coaio/db/batch.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/copy.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/timeout.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/timely.hpp"

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using db::Transaction;
using tests::Fault;
using tests::PostgresProxy;
using tests::Spot;
using tests::Way;
using namespace std::chrono_literals;

namespace {

Coro<> work(std::string url, std::size_t size = 100'000) {
    db::Pool pool(url, db::PoolOptions().max_size(2));
    co_await pool.execute("create table t (n int, s text)");
    const std::string large(size, 'x');
    for (int i = 0; i < 3; ++i) co_await pool.execute("insert into t values ($1, $2)", i, large);
    auto body = [](Transaction& tx) -> Coro<int> {
        auto failing = [](Transaction& sub) -> Coro<> { co_await sub.query("select 1/0"); };
        const bool failed = co_await tests::throws<db::Error>(tx.transaction(failing));
        CHECK(failed);
        co_return co_await tx.query_value<int>("select count(*)::int from t");
    };
    const int count = co_await pool.transaction(body);
    CHECK(count == 3);
    const auto rows = co_await pool.query("select n, s from t order by n");
    int n = 0;
    for (const auto& [number, text] : rows.as<int, std::string>()) {
        CHECK(number == n++);
        CHECK(text == large);
    }
    CHECK(n == 3);
    co_await pool.execute("drop table t");
    co_await pool.close();
}

/// The text of the error that connecting fails with, and how long it took.
Coro<std::pair<std::string, coaio::Duration>> connect_failure(std::string url, coaio::Duration limit) {
    const auto began = std::chrono::steady_clock::now();
    std::string text = "connected";
    try {
        auto connection = co_await db::Connection::connect(url, db::ConnectOptions().connect_timeout(limit));
    } catch (const db::ConnectionError& error) {
        CHECK(error.outcome() == db::Outcome::not_sent);
        CHECK(error.retryable());
        text = error.what();
    }
    co_return std::pair<std::string, coaio::Duration>(text, std::chrono::steady_clock::now() - began);
}

Coro<> three_failures(PostgresProxy& proxy, std::string url) {
    proxy.listen(tests::Listen::refuse);
    const auto refused = co_await connect_failure(url, 5s);
    CHECK_THAT(refused.first, tests::contains("refused"));
    CHECK(refused.second < 2s);
    proxy.listen(tests::Listen::hang);
    const auto silent = co_await connect_failure(url, 200ms);
    CHECK_THAT(silent.first, tests::contains("no answer within"));
    CHECK(silent.second >= 200ms);
    CHECK(silent.second < 2s);
    proxy.listen(tests::Listen::reset);
    const auto reset = co_await connect_failure(url, 5s);
    CHECK_THAT(reset.first, tests::contains("server closed the connection") || tests::contains("reset by peer"));
    CHECK(reset.second < 2s);
    proxy.listen(tests::Listen::normal);
    auto connection = co_await db::Connection::connect(url);
    const int one = co_await connection.query_value<int>("select 1");
    CHECK(one == 1);
}

Coro<> slow_start(std::string url) {
    const auto failure = co_await connect_failure(url, 300ms);
    CHECK_THAT(failure.first, tests::contains("no answer within"));
    CHECK(failure.second >= 300ms);
    CHECK(failure.second < 1500ms);
}

/// A statement's fate on a connection that something happens to.
Coro<std::string> fate(std::string url, coaio::Duration limit) {
    auto connection =
        co_await db::Connection::connect(url, db::ConnectOptions().cancel_timeout(100ms).statement_cache(0));
    try {
        co_await coaio::wait_for(connection.query("select 'x'::text"), limit);
    } catch (const db::ConnectionError& error) {
        CHECK(error.outcome() == db::Outcome::unknown);
        co_return "lost";
    } catch (const coaio::TimeoutError&) {
        co_return "timeout";
    }
    co_return "answered";
}

std::string fate_under(PostgresProxy& proxy, const std::string& url, const Spot& spot, const Fault& fault,
                       coaio::Duration patience = 20s) {
    proxy.clear();
    proxy.on(spot, fault);
    coaio::Runner runner;
    const tests::StepLimit limit(runner.get_loop());
    const auto began = std::chrono::steady_clock::now();
    auto found = runner.run(fate(url, patience));
    CHECK(std::chrono::steady_clock::now() - began < 5s);
    limit.check();
    return found;
}

// --- answers that lie --------------------------------------------------------------------------------------------------

std::string number(std::uint32_t value, unsigned bytes) {
    std::string text;
    while (bytes-- > 0) text += static_cast<char>(value >> 8U * bytes);
    return text;
}

/// A row that says it has so many columns, and that so much is in the first one.
std::string data_row(std::uint32_t columns, std::uint32_t length, const std::string& content) {
    const std::string body = number(columns, 2) + number(length, 4) + content;
    return "D" + number(static_cast<std::uint32_t>(body.size()) + 4, 4) + body;
}

std::string data_row(const std::string& cell) { return data_row(1, static_cast<std::uint32_t>(cell.size()), cell); }

/// An array of int4 in binary, of one dimension that has so many elements, as it says.
std::string array_of(std::uint32_t elements, const std::string& content) {
    return number(1, 4) + number(0, 4) + number(23, 4) + number(elements, 4) + number(1, 4) + content;
}

/// The most memory that the process has had, in bytes, whether it was touched or not.
std::uint64_t most_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmPeak:", 0) == 0) return std::stoull(line.substr(7)) * 1024;
    }
    throw std::runtime_error("the kernel does not tell the peak of memory");
}

Coro<> be_lied_to(PostgresProxy& proxy, std::string url, Fault fault) {
    const db::Pool pool(url, db::PoolOptions().max_size(1).cancel_timeout(300ms));
    co_await pool.query("select 1");
    proxy.on(Spot(Way::to_client, 'D'), fault);
    const std::uint64_t before = most_memory();
    bool failed = false;
    try {
        const auto rows = co_await pool.query("select array[1, 2]");
        const auto numbers = rows.value<std::vector<int>>();
        CHECK(numbers.size() < 3);
    } catch (const coaio::Error&) {
        failed = true;
    }
    CHECK(failed);
    CHECK(most_memory() - before < 100'000'000);
    CHECK(proxy.fired() == 1);
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
}

Coro<> in_a_query(db::Pool pool) { co_await pool.query("select 1"); }
Coro<> in_a_batch(db::Pool pool) { co_await pool.batch(db::Batch().add("select 1").add("select 2")); }
Coro<> in_a_copy(db::Pool pool) {
    auto copy = pool.copy_out("copy (select 1) to stdout");
    static_cast<void>(co_await copy.next());
}

/// What is answered by the beginning of a COPY in place of a message.
struct Answered {
    char by;
    Coro<> (*what)(db::Pool);
};

// libpq gives such a result again and again, so who did not look would go round for ever.
Coro<> be_copied_to(PostgresProxy& proxy, std::string url, std::string begin, Answered answered) {
    const db::Pool pool(url, db::PoolOptions().max_size(1).cancel_timeout(300ms));
    proxy.on(Spot(Way::to_client, answered.by), Fault::replace(begin + number(7, 4) + std::string(3, '\0')));
    const bool failed = co_await tests::throws<coaio::Error>(answered.what(pool));
    CHECK(failed);
    CHECK(proxy.fired() == 1);
    const int fine = co_await pool.query_value<int>("select 1");
    CHECK(fine == 1);
}

}  // namespace

TEST_CASE("TYP-22: a row or an array whose lengths lie is an error, and takes no memory for what is not there",
          "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    constexpr std::uint32_t huge = 0x7fffffff;
    const std::string four = number(1, 4);
    const auto fault = GENERATE_COPY(
        Fault::inject(data_row(1, huge, four)), Fault::replace(data_row(1, huge, four)),
        Fault::replace(data_row(0x7fff, 4, four)), Fault::replace(data_row(1, 3, four)),
        Fault::replace(data_row(array_of(huge, ""))), Fault::replace(data_row(array_of(0xfffffff0, ""))),
        Fault::replace(data_row(array_of(2, number(4, 4) + four + number(huge, 4) + four))),
        Fault::replace(data_row(array_of(1, number(4, 4) + four + four))), Fault::replace(data_row(number(huge, 4))));
    tests::run_timely(be_lied_to(proxy, proxy.conninfo(database.name()), fault));
}

TEST_CASE("TYP-22: a COPY that nobody asked for is an error, and ends", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    const std::string begin = GENERATE("G", "H", "W");
    const auto answered = GENERATE(Answered{'1', in_a_query}, Answered{'1', in_a_batch});
    tests::run_timely(be_copied_to(proxy, proxy.conninfo(database.name()), begin, answered));
}

TEST_CASE("TYP-22: a COPY both ways in place of one way is an error, and ends", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    tests::run_timely(be_copied_to(proxy, proxy.conninfo(database.name()), "W", {'H', in_a_copy}));
}

TEST_CASE("the proxy passes everything on and counts it", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    tests::run_timely(work(proxy.conninfo(database.name())));
    CHECK(proxy.accepted() == 1);
    CHECK(proxy.seen(Way::to_server, tests::message::startup) == 1);
    CHECK(proxy.await_seen(Way::to_server, 'X', 1));
    CHECK(proxy.seen(Way::to_client, 'E') == 1);
    CHECK(proxy.seen(Way::to_client, 'D') == 4);
    CHECK(proxy.fired() == 0);
}

TEST_CASE("FLT-06: split into single bytes, or late and torn apart at random, all comes out the same", "[pgtest]") {
    tests::Database database;
    const auto weather = GENERATE(tests::Weather{0us, 0us, 1, false}, tests::Weather{0us, 0us, 7, true},
                                  tests::Weather{500us, 50ms, 4096, true});
    PostgresProxy proxy(database.server(), 5);
    proxy.weather(weather);
    tests::run_timely(work(proxy.conninfo(database.name()), weather.split == 1 ? 5'000 : 100'000));
}

TEST_CASE("CON-01: a server that refuses, is silent or resets gives three errors, each in its time", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    tests::run_timely(three_failures(proxy, proxy.conninfo(database.name())));
}

TEST_CASE("CON-02: the time to connect is for all steps together", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    // Each of them is shorter than the limit.
    for (const char type : {'R', 'S', 'K', 'Z'}) {
        proxy.on(Spot(Way::to_client, type).times(0), Fault::delay(150ms));
    }
    tests::run_timely(slow_start(proxy.conninfo(database.name())));
}

TEST_CASE("FLT-05: half-closed, reset, silent, one side only: each ends in its time", "[pgtest]") {
    tests::Database database;
    PostgresProxy proxy(database.server());
    const std::string url = proxy.conninfo(database.name());
    const Spot asked = Spot(Way::to_server, 'P');
    const Spot answered = Spot(Way::to_client, 'D');
    CHECK(fate_under(proxy, url, asked, Fault::cut_before()) == "lost");
    CHECK(fate_under(proxy, url, asked, Fault::reset_after()) == "lost");
    CHECK(fate_under(proxy, url, asked, Fault::half_close()) == "lost");
    CHECK(fate_under(proxy, url, answered, Fault::cut_before()) == "lost");
    CHECK(fate_under(proxy, url, answered, Fault::reset_before()) == "lost");
    CHECK(fate_under(proxy, url, answered, Fault::half_close()) == "lost");
    CHECK(fate_under(proxy, url, asked, Fault::freeze(), 200ms) == "timeout");
    CHECK(fate_under(proxy, url, asked, Fault::freeze_way(), 200ms) == "timeout");
    CHECK(fate_under(proxy, url, answered, Fault::freeze_way(), 200ms) == "timeout");
    CHECK(fate_under(proxy, url, Spot(Way::to_client, 'Z').nth(2), Fault::swallow(), 200ms) == "timeout");
    CHECK(fate_under(proxy, url, asked, Fault::delay(20ms)) == "answered");
    CHECK(proxy.fired() == 11);
    proxy.thaw_all();
    proxy.cut_all();
    CHECK(database.server().await_sessions(database.name(), 0));
}
