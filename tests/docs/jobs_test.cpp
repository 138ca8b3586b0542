// SPDX-License-Identifier: MIT
// The listings of docs/jobs.md, compiled and run.
#include <coaio/core.hpp>
#include <coaio/db.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

std::vector<std::string> letters;

coaio::Coro<> send_letter(const coaio::db::Json& letter) {
    letters.push_back(letter.text());
    co_return;
}

// [migrate]
coaio::Coro<> set_up(coaio::db::Pool pool) {
    coaio::db::Migrations schema("shop");
    schema.add(1, "users", R"(
        create table users (id bigint generated always as identity primary key, name text not null);
        insert into users (name) values ('root');
    )");
    schema.add(2, "index of names", "-- coaio: no transaction\ncreate index concurrently users_name on users (name)");
    co_await schema.run(pool);  // ten programs may do this at once
    co_await coaio::db::JobQueue::migrations().run(pool);
}
// [/migrate]

// [put]
coaio::Coro<> sign_up(coaio::db::Pool pool, coaio::db::JobQueue letters_to_send, std::string name) {
    auto body = [&](coaio::db::Transaction& tx) -> coaio::Coro<> {
        co_await tx.execute("insert into users (name) values ($1)", name);
        const coaio::db::NewJob letter(coaio::db::Json("{\"to\": \"" + name + "\"}"));
        co_await letters_to_send.put(tx, letter);  // goes out if the user was signed up, and only then
    };
    co_await pool.transaction(body);
    letters_to_send.wake();
}
// [/put]

// [work]
coaio::Coro<> send_letters(coaio::db::JobQueue queue, std::string url) {
    auto handler = [](coaio::db::Job& job) -> coaio::Coro<> {
        co_await send_letter(job.payload());  // an exception: again later, 20 times at most
    };
    auto options = coaio::db::JobWorkerOptions().concurrency(50).listen(url);
    const coaio::db::JobWorker worker(queue, handler, options);
    co_await worker.run();  // until it is cancelled; then it gives back what it has not begun
}
// [/work]

// [once]
coaio::Coro<> book(coaio::db::Pool pool, coaio::db::Job& job) {
    auto body = [&job](coaio::db::Transaction& tx) -> coaio::Coro<> {
        co_await tx.execute("update users set name = name || '!' where name = 'root'");
        co_await job.complete(tx);  // the work and the end of the job are one
    };
    co_await pool.transaction(body);
}
// [/once]

coaio::Coro<> show(std::string url) {
    const coaio::db::Pool pool(url);
    co_await set_up(pool);
    const coaio::db::JobQueue queue(pool, "letters");
    co_await sign_up(pool, queue, "ada");
    auto worker = coaio::create_task(send_letters(queue, url));
    while (letters.empty()) co_await coaio::sleep(1ms);
    const coaio::db::JobQueue bookings(pool, "bookings");
    co_await bookings.put(coaio::db::NewJob());
    auto handler = [&pool](coaio::db::Job& job) -> coaio::Coro<> { co_await book(pool, job); };
    const coaio::db::JobWorker booker(bookings, handler);
    auto booking = coaio::create_task(booker.run());
    while (booker.statistics().completed == 0) co_await coaio::sleep(1ms);
    booker.stop();
    co_await booking;
    worker.cancel();
    const std::vector<coaio::Task<>> stopping(1, worker);
    co_await coaio::wait(stopping);
    const auto left = co_await pool.query_value<int>("select count(*)::int from coaio_job");
    CHECK(left == 0);
    const auto name = co_await pool.query_value<std::string>("select name from users order by id limit 1");
    CHECK(name == "root!");
}

}  // namespace

TEST_CASE("the listings about jobs work") {
    tests::Database database;
    coaio::run(show(database.conninfo()));
    CHECK(letters == std::vector<std::string>{"{\"to\": \"ada\"}"});
}
