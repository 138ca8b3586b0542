// SPDX-License-Identifier: MIT
#include "server/embedded_postgres.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/db/connection.hpp>

#include "support/catch.hpp"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/postmaster_file.hpp"
#include "server/process.hpp"
#include "support.hpp"

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using server::EmbeddedPostgres;
using tests::Folder;

namespace {

coaio::Coro<std::string> ask(std::string conninfo, std::string sql) {
    const auto connection = co_await coaio::db::Connection::connect(conninfo);
    co_return co_await connection.query_value<std::string>(sql);
}

coaio::Coro<> tell(std::string conninfo, std::string sql) {
    const auto connection = co_await coaio::db::Connection::connect(conninfo);
    static_cast<void>(co_await connection.execute(sql));
}

coaio::Coro<pid_t> run_and_stop(EmbeddedPostgres& postgres, std::string sql) {
    co_await postgres.start();
    const pid_t pid = postgres.pid();
    co_await tell(postgres.conninfo(), std::move(sql));
    co_await postgres.stop();
    co_return pid;
}

bool is_alive(pid_t pid) { return kill(pid, 0) == 0; }

std::string failure_of(const std::function<void()>& what) {
    try {
        what();
    } catch (const coaio::Error& error) {
        return error.what();
    }
    return "no failure";
}

// What stands for a server that was killed: its Postgres goes on, and the lock is gone.
pid_t start_and_abandon(const fs::path& folder) {
    EmbeddedPostgres postgres(folder);
    coaio::run(postgres.start());
    return postgres.pid();
}

}  // namespace

TEST_CASE("an embedded Postgres is made once, keeps its data, and one left running is taken over") {
    const Folder folder;
    {
        EmbeddedPostgres postgres(folder.path());
        const pid_t ran = coaio::run(run_and_stop(postgres, "create table kept as select 'yes' as it"));
        REQUIRE_FALSE(postgres.adopted());
        REQUIRE_FALSE(server::read_postmaster_file(folder.path() / "cluster"));
        REQUIRE(waitpid(ran, nullptr, WNOHANG) == -1);  // not even a zombie is left
        REQUIRE(errno == ECHILD);
    }

    const pid_t left_running = start_and_abandon(folder.path());
    REQUIRE(is_alive(left_running));
    {
        EmbeddedPostgres postgres(folder.path());
        const auto take_over = [](EmbeddedPostgres& it, pid_t pid) -> coaio::Coro<> {
            co_await it.start();
            REQUIRE(it.adopted());
            REQUIRE(it.pid() == pid);
            const auto kept = co_await ask(it.conninfo(), "select it from kept");
            REQUIRE(kept == "yes");
            const auto addresses = co_await ask(it.conninfo(), "show listen_addresses");
            REQUIRE(addresses.empty());
            co_await it.stop();
        };
        coaio::run(take_over(postgres, left_running));
        REQUIRE(waitpid(left_running, nullptr, 0) == left_running);
    }

    SECTION("after a crash and a restart of the machine its number may be anybody's") {
        const pid_t other = fork();
        if (other == 0) {
            pause();
            _exit(0);
        }
        REQUIRE(other > 0);
        std::ofstream(folder.path() / "cluster" / "postmaster.pid")
            << other << '\n'
            << (folder.path() / "cluster").string() << "\n1\n5432\n/tmp/coaio-pg-gone\n\n0\nready   \n";
        EmbeddedPostgres postgres(folder.path());
        static_cast<void>(coaio::run(run_and_stop(postgres, "insert into kept values ('more')")));
        REQUIRE_FALSE(postgres.adopted());
        REQUIRE(is_alive(other));
        kill(other, SIGKILL);
        waitpid(other, nullptr, 0);
    }
    SECTION("a server that cannot start says why") {
        std::ofstream(folder.path() / "cluster" / "postgresql.conf", std::ios::app) << "nonsense = 7\n";
        EmbeddedPostgres postgres(folder.path());
        const std::string why = failure_of([&] { coaio::run(postgres.start()); });
        REQUIRE_THAT(why, tests::contains("nonsense"));
        REQUIRE_THAT(why, tests::contains("postgres.log"));
    }
    SECTION("cancelling the start leaves nothing running") {
        EmbeddedPostgres postgres(folder.path());
        const auto cancel_at_once = [](EmbeddedPostgres& it) -> coaio::Coro<bool> {
            auto task = coaio::create_task(it.start());
            co_await coaio::sleep(0s);
            task.cancel();
            try {
                co_await task;
            } catch (const coaio::CancelledError&) {
                co_return true;
            }
            co_return false;
        };
        const bool cancelled = coaio::run(cancel_at_once(postgres));
        REQUIRE(cancelled);
        REQUIRE(postgres.pid() == 0);
        REQUIRE_FALSE(server::read_postmaster_file(folder.path() / "cluster"));
    }
    SECTION("its end is noticed") {
        EmbeddedPostgres postgres(folder.path());
        const auto kill_it = [](EmbeddedPostgres& it) -> coaio::Coro<> {
            co_await it.start();
            auto watch = coaio::create_task(it.ended());
            co_await coaio::sleep(0s);
            REQUIRE_FALSE(watch.done());
            kill(it.pid(), SIGINT);
            co_await watch;
            co_await it.stop();
        };
        coaio::run(kill_it(postgres));
    }
    SECTION("a cluster of another version is refused") {
        std::ofstream(folder.path() / "cluster" / "PG_VERSION") << "9\n";
        EmbeddedPostgres postgres(folder.path());
        const std::string why = failure_of([&] { coaio::run(postgres.start()); });
        REQUIRE_THAT(why, tests::contains("PostgreSQL 9"));
        REQUIRE_THAT(why, tests::contains("--data-dir"));
    }
}

TEST_CASE("a folder too long for a socket has its socket elsewhere") {
    const Folder folder;
    const fs::path deep = folder.path() / std::string(60, 'd') / std::string(60, 'e');
    EmbeddedPostgres postgres(deep);
    const auto use = [](EmbeddedPostgres& it) -> coaio::Coro<fs::path> {
        co_await it.start();
        const fs::path socket_folder = it.socket_folder();
        co_await tell(it.conninfo(), "select 1");
        co_await it.stop();
        co_return socket_folder;
    };
    const fs::path socket_folder = coaio::run(use(postgres));
    REQUIRE(socket_folder.string().size() + 14 <= 107);
    REQUIRE_FALSE(fs::exists(socket_folder));
}

TEST_CASE("a data folder has one server") {
    const Folder folder;
    const EmbeddedPostgres first(folder.path());
    const std::string why = failure_of([&] { const EmbeddedPostgres second(folder.path()); });
    REQUIRE_THAT(why, tests::contains("process " + std::to_string(getpid())));
}

TEST_CASE("a data folder that the user of the database cannot enter is refused") {
    if (geteuid() != 0) return;  // Postgres then runs as ourselves
    const Folder folder;
    REQUIRE(chmod(folder.path().c_str(), 0700) == 0);
    EmbeddedPostgres postgres(folder.path() / "data");
    const std::string why = failure_of([&] { coaio::run(postgres.start()); });
    REQUIRE_THAT(why, tests::contains("is closed to the user " + server::database_account().name));
    REQUIRE(EmbeddedPostgres::default_folder() == "/var/lib/coaio-server");
}
