// SPDX-License-Identifier: MIT
// The listings of docs/notifications.md, compiled and run.
#include <coaio/core.hpp>
#include <coaio/db.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <functional>
#include <string>

namespace {

// [follow]
coaio::Coro<> follow_orders(std::string url, std::function<coaio::Coro<>()> read_orders) {
    auto listener = co_await coaio::db::Listener::connect(url);
    co_await listener.listen("orders");
    co_await read_orders();  // what was there before
    for (;;) {
        const auto heard = co_await listener.next();
        if (heard.channel == "orders" && heard.payload == "closing time") break;
        co_await read_orders();  // for a gap too: something may have been missed
    }
}
// [/follow]

// [notify]
coaio::Coro<> place_order(coaio::db::Pool pool, std::string what) {
    auto body = [&what](coaio::db::Transaction& tx) -> coaio::Coro<> {
        const auto id = co_await tx.query_value<int>("insert into orders (what) values ($1) returning id", what);
        co_await coaio::db::notify(tx, "orders", std::to_string(id));  // heard when this commits, and only then
    };
    co_await pool.transaction(body);
}
// [/notify]

struct Shelf {
    int reads = 0;
    int seen = 0;
    coaio::Event began;
};

coaio::Coro<> read_all(coaio::db::Pool pool, Shelf& shelf) {
    shelf.seen = co_await pool.query_value<int>("select count(*)::int from orders");
    ++shelf.reads;
    shelf.began.set();
}

coaio::Coro<> sell(std::string url) {
    coaio::db::Pool pool(url);
    co_await pool.execute("create table orders (id int generated always as identity, what text)");
    Shelf shelf;
    auto following = coaio::create_task(follow_orders(url, [&] { return read_all(pool, shelf); }));
    co_await shelf.began.wait();
    CHECK(shelf.seen == 0);
    co_await place_order(pool, "a book");
    co_await place_order(pool, "a pen");
    co_await coaio::db::notify(pool, "orders", "closing time");
    co_await following;
    CHECK(shelf.reads == 3);
    CHECK(shelf.seen == 2);
}

}  // namespace

TEST_CASE("the listings of docs/notifications.md", "[pgtest]") {
    tests::Database database;
    coaio::testing::run(sell(database.conninfo()));
}
