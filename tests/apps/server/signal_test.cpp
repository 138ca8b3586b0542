// SPDX-License-Identifier: MIT
#include <coaio/core/run.hpp>
#include <coaio/http/client.hpp>

#include "support/catch.hpp"
#include "support/postgres.hpp"

#include <csignal>
#include <string>

#include "support.hpp"

namespace {

coaio::Coro<> ask_for_the_tasks() {
    const tests::Database database;
    tests::Program program({"--database-url=" + database.conninfo()});
    const auto url = co_await program.ready();
    program.signal(SIGUSR1);
    const auto reply = co_await tests::get(coaio::http::Client(), url + "/readyz");
    CHECK(reply.status == 200);
    // Of two signals that wait, the kernel gives the one with the lower number first.
    program.signal(SIGTERM);
    const int code = co_await program.ended();
    const std::string log = program.log();
    INFO(log);
    CHECK(code == 0);
    CHECK_THAT(log, tests::contains("Task-1"));
    CHECK_THAT(log, tests::contains("waits for"));
    CHECK_THAT(log, tests::contains("accept"));
}

}  // namespace

TEST_CASE("SIGUSR1 writes the server's tree of tasks to its log, and it goes on") { coaio::run(ask_for_the_tasks()); }
