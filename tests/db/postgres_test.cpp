// SPDX-License-Identifier: MIT
#include "support/postgres.hpp"

#include "support/catch.hpp"

#include <array>
#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

TEST_CASE("a test has a server and a database of its own", "[pgtest]") {
    tests::Database db;
    db.sql("create table t (a int); insert into t values (1), (null)");
    auto rows = db.sql("select a from t order by a");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0][0] == "1");
    CHECK(rows[1][0] == std::nullopt);
    CHECK(db.server().await_sessions(db.name(), 0));

    tests::Database other;
    CHECK(other.value("select count(*) from pg_class where relname = 't'") == "0");
}

TEST_CASE("the server can be stopped and started again", "[pgtest]") {
    tests::Database db;
    db.sql("create table t (a int); insert into t values (42)");
    auto how = GENERATE(tests::Stop::fast, tests::Stop::immediate);
    db.server().stop(how);
    CHECK_FALSE(db.server().running());
    CHECK_THROWS(db.value("select 1"));
    db.server().start();
    CHECK(db.value("select a from t") == "42");
}

TEST_CASE("the server goes away with a process that dies", "[pgtest]") {
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    pid_t child = fork();
    if (child == 0) {
        try {
            auto* server = new tests::Postgres();
            std::string folder = server->socket_folder();
            auto written = write(ends[1], folder.c_str(), folder.size());
            (void)written;
        } catch (...) {}
        kill(getpid(), SIGKILL);
    }
    close(ends[1]);
    std::array<char, 200> folder{};
    auto size = read(ends[0], folder.data(), folder.size() - 1);
    close(ends[0]);
    waitpid(child, nullptr, 0);
    REQUIRE(size > 0);
    bool gone = tests::Postgres::await_removal(folder.data());
    CHECK(gone);
}
