// SPDX-License-Identifier: MIT
#include "crawler/worker_options.hpp"

#include <cstdint>
#include <utility>

#include <CLI/CLI.hpp>

#include "crawler/command_line.hpp"
#include "crawler/summary.hpp"

namespace crawl {
namespace {

std::chrono::milliseconds to_millis(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

std::string wrong_with(const WorkerOptions& options) {
    if (options.database_url.empty()) {
        return "no database is given; say where the crawls are, such as: coaio-crawl worker "
               "--database-url postgresql://user@host/name";
    }
    if (one_line(options.user_agent, 1000) != options.user_agent) {
        return "--user-agent must be one line of at most 1000 bytes";
    }
    return {};
}

}  // namespace

ParsedWorkerOptions parse_worker_options(int argc, const char* const* argv, const std::string& version) {
    ParsedWorkerOptions parsed;
    WorkerOptions options;
    double lease = 30;
    double grace = 10;
    CLI::App app("Runs crawls of a database, host by host, together with any number of other workers. "
                 "coaio-crawl enqueue puts them there.",
                 "coaio-crawl worker");
    app.footer("Every option can also be set in the environment: --hosts is COAIO_CRAWL_HOSTS. A flag wins.\n"
               "Exit code: 0 all good, 2 it met broken links, 1 trouble of its own.");
    app.set_version_flag("--version", "coaio-crawl " + version);
    app.add_option("--database-url", options.database_url,
                   "The Postgres database, such as postgresql://user@host/name. A password is better kept in the "
                   "environment or in ~/.pgpass");
    app.add_option("--hosts", options.hosts, "Hosts at the same time")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    app.add_option("--share", options.share, "Pages of a host before others have a turn")
        ->capture_default_str()
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--lease", lease, "Seconds after which others go on with the hosts of a worker that has died")
        ->capture_default_str()
        ->check(CLI::Range(1.0, 3600.0));
    app.add_option("--grace", grace, "Seconds for the pages under way when the worker is to stop")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 3600.0));
    app.add_option("--user-agent", options.user_agent, "How to introduce oneself, whatever the crawl says");
    app.add_flag("--until-done", options.until_done, "End when no crawl is left");
    app.add_flag("-q,--quiet", options.quiet, "No progress, only the summary");

    if (auto stop = read_command_line(app, argc, argv)) {
        parsed.text = std::move(stop->text);
        parsed.exit_code = stop->exit_code;
        return parsed;
    }
    options.lease = to_millis(lease);
    options.grace = to_millis(grace);
    if (auto wrong = wrong_with(options); !wrong.empty()) {
        parsed.text = "coaio-crawl: " + wrong + "\nRun with --help for more information.\n";
        parsed.exit_code = 1;
        return parsed;
    }
    parsed.options = std::move(options);
    return parsed;
}

}  // namespace crawl
