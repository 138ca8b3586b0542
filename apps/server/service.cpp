// SPDX-License-Identifier: MIT
#include "server/service.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <coaio/core/dump.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/finally.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/http/server.hpp>
#include <coaio/net/tls.hpp>

#include "server/access_text.hpp"
#include "server/app.hpp"
#include "server/crawl_runner.hpp"
#include "server/embedded_postgres.hpp"
#include "server/guard.hpp"
#include "store/schema.hpp"

namespace server {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t largest_body = 1024 * 1024;

/// Standard error, a line at a time, from any thread.
class Log {
public:
    void line(std::string_view text) {
        const std::lock_guard lock(mutex_);
        std::cerr << text << std::endl;
    }
    void say(std::string_view text) { line("coaio-server: " + std::string(text)); }

private:
    std::mutex mutex_;
};

/// Listens to what the system asks of the process, for as long as it lives.
class Signals {
public:
    // Before the loop runs, or SIGINT would be `Runner`'s.
    Signals(coaio::Loop& loop, Log& log) : loop_(&loop) {
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            struct sigaction before{};
            // Started by nohup: a closed terminal does not matter.
            if (number == SIGHUP && sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
            loop_->add_signal_handler(number, [this] {
                if (stop_.is_set()) hurry_.set();
                stop_.set();
            });
        }
        loop_->add_signal_handler(SIGUSR1, [&log] { log.line(coaio::dump_tasks(coaio::all_loops)); });
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals() {
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) loop_->remove_signal_handler(number);
    }

    [[nodiscard]] coaio::Event& stop() noexcept { return stop_; }
    /// Asked for twice.
    [[nodiscard]] coaio::Event& hurry() noexcept { return hurry_; }

private:
    coaio::Loop* loop_;
    coaio::Event stop_;
    coaio::Event hurry_;
};

coaio::Coro<> cancel_when(coaio::Event& event, coaio::AnyTask task) {
    co_await event.wait();
    task.cancel();
}

coaio::Coro<> fail_when_ended(EmbeddedPostgres& postgres) {
    co_await postgres.ended();
    throw coaio::Error("Postgres has ended by itself; see " + (postgres.folder() / "postgres.log").string());
}

// Ready: serves until it is told to stop, then lets running requests finish.
coaio::Coro<> serve(const Options& options, Shared& shared, Signals& signals, Log& log, EmbeddedPostgres* postgres) {
    std::optional<coaio::net::TlsContext> tls;
    if (!options.tls_cert.empty()) {
        tls = coaio::net::TlsContext::server(
            coaio::net::TlsServerOptions(coaio::net::TlsIdentity::from_files(options.tls_cert, options.tls_key)));
    }
    coaio::http::ServeOptions how;
    how.host = options.host;
    how.port = options.port;
    how.workers = options.workers;
    how.tls = tls ? &*tls : nullptr;
    how.grace = options.grace;
    how.max_body = largest_body;
    // Whatever ends the group, its tasks and who calls them outlive its body, and these outlive them.
    const auto runner =
        std::make_shared<CrawlRunner>(shared, options.crawls, [&log](std::string_view text) { log.say(text); });
    coaio::http::Server server([&shared](coaio::Scope&) { return build_app(shared); }, how);
    auto& loop = coaio::get_running_loop();
    shared.on_crawls_changed([&loop, runner] { loop.call_soon_threadsafe([runner] { runner->wake(); }); });

    const auto body = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
        if (postgres != nullptr) group.create_task(fail_when_ended(*postgres), {.name = "postgres"});
        auto crawls = group.create_task(runner->run(), {.name = "crawls"});

        co_await server.start();
        shared.ready = true;
        std::cout << "listening on " << server.url() << std::endl;
        co_await signals.stop().wait();

        shared.ready = false;
        shared.stopping = true;
        log.say("stopping");
        auto stopping = coaio::create_task(server.stop(options.grace), {.name = "stop"});
        const auto hurry = coaio::create_task(cancel_when(signals.hurry(), stopping));
        try {
            co_await stopping;
        } catch (const coaio::CancelledError&) {  // the grace is over
        }
        hurry.cancel();
        crawls.cancel();
        try {
            co_await crawls;
        } catch (const coaio::CancelledError&) {  // what runs is committed, or goes on next time
        }
        group.cancel();
    };
    const auto all = [&body](coaio::Scope&) { return coaio::task_group(body); };
    const auto cleanup = [&server, &shared](coaio::Scope&) -> coaio::Coro<> {
        shared.on_crawls_changed({});
        co_await server.stop(0s);  // unless it has stopped in order
    };
    co_await coaio::finally(all, cleanup);
}

coaio::Coro<> prepare_database(const std::string& database) {
    const auto pool = co_await coaio::db::Pool::connect(database, store::pool_options(1, "coaio-server"));
    co_await store::create_schema(pool);
    co_await pool.close();
}

coaio::Coro<> serve_with(Options options, Shared& shared, Signals& signals, Log& log, EmbeddedPostgres* postgres) {
    if (postgres != nullptr) {
        co_await postgres->start();
        shared.database = postgres->conninfo();
        log.say((postgres->adopted() ? "took over the Postgres of " : "started a Postgres in ") +
                postgres->folder().string());
    }
    co_await prepare_database(shared.database);
    co_await serve(options, shared, signals, log, postgres);
}

// Each worker has a pool, and so have the crawls, besides the session that holds them; some are for others who look.
std::size_t connections_for(const Options& options, const Shared& shared) {
    constexpr std::size_t least = 100;
    constexpr std::size_t others = 20;
    const std::size_t workers = options.workers != 0 ? options.workers : std::thread::hardware_concurrency();
    return std::max(least, (workers + 1) * shared.pool_size + others);
}

coaio::Coro<int> run_until_stopped(Options options, Signals& signals, Log& log) {
    Shared shared;
    shared.database = options.database_url;
    shared.debug_tasks = options.debug_tasks;
    shared.debug_tasks_anybody = options.debug_tasks_anybody;
    shared.guarded = is_this_machine(options.host);
    shared.public_host = options.public_host;
    if (options.log_format == LogFormat::json) {
        shared.access_sink = [&log](std::string_view line) { log.line(line); };
    } else {
        shared.access_sink = [&log](std::string_view line) { log.line(access_text(line)); };
    }
    std::unique_ptr<EmbeddedPostgres> postgres;
    if (options.database_url.empty()) {
        postgres = std::make_unique<EmbeddedPostgres>(options.data_dir, connections_for(options, shared));
    }

    std::exception_ptr failure;
    bool interrupted = false;
    auto serving =
        coaio::create_task(serve_with(std::move(options), shared, signals, log, postgres.get()), {.name = "serve"});
    // A signal before the server is ready ends the start.
    const auto watch = coaio::create_task([](Signals& asked, Shared& state, coaio::AnyTask task) -> coaio::Coro<> {
        co_await asked.stop().wait();
        if (!state.ready && !state.stopping) task.cancel();
    }(signals, shared, serving));
    try {
        co_await serving;
    } catch (const coaio::CancelledError&) {
        interrupted = true;
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    watch.cancel();
    if (postgres) {
        auto stopping = postgres->stop();
        co_await coaio::masked(std::move(stopping), {.deadline = 3min});
    }
    if (interrupted && !signals.stop().is_set()) throw coaio::CancelledError();
    if (failure) {
        std::string why = coaio::describe_exception(failure);
        try {
            std::rethrow_exception(failure);
        } catch (const coaio::ExceptionGroup& group) {
            why = coaio::describe_exception(group.exceptions().front());
        } catch (const coaio::Error& error) {
            why = error.what();
        } catch (...) {
            why = coaio::describe_exception(failure);
        }
        log.say(why);
        co_return 1;
    }
    log.say("stopped");
    co_return 0;
}

}  // namespace

int run_service(Options options) {
    Log log;
    coaio::Runner runner;
    int code = 1;
    {
        Signals signals(runner.get_loop(), log);
        code = runner.run(run_until_stopped(std::move(options), signals, log));
    }
    runner.close();
    return code;
}

}  // namespace server
