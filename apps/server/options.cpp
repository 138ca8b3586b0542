// SPDX-License-Identifier: MIT
#include "server/options.hpp"

#include <cctype>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>

namespace server {
namespace {

constexpr int longest_grace = 3600;

// "--data-dir" is COAIO_SERVER_DATA_DIR.
std::string environment_name(const std::string& flag) {
    std::string name = "COAIO_SERVER_";
    for (const char c : flag.substr(2)) {
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return name;
}

void declare(CLI::App& app, Options& options, int& grace) {
    const auto add = [&app](const std::string& flag, auto& value, const std::string& what) {
        return app.add_option(flag, value, what)->envname(environment_name(flag))->capture_default_str();
    };
    add("--host", options.host, "Listen on this address; empty for every one of the machine");
    add("--port", options.port, "Listen on this port; 0 takes a free one and prints it");
    app.add_option("--public-host", options.public_host,
                   "A proxy on this machine shows the server under this name: it may be asked by it, too")
        ->envname(environment_name("--public-host"));
    add("--workers", options.workers, "Loops that serve requests, each on a thread; 0: one a processor")
        ->check(CLI::Range(0, 256));
    app.add_option(
           "--database-url", options.database_url,
           "Keep everything in this Postgres database, such as postgresql://user@host/name; without it a private "
           "Postgres is started")
        ->envname("DATABASE_URL");
    add("--data-dir", options.data_dir,
        "Folder of the private Postgres; by default /var/lib/coaio-server for root, else ~/.local/share/coaio-server");
    CLI::Option* cert = add("--tls-cert", options.tls_cert, "Serve https with this certificate chain, a PEM file");
    CLI::Option* key = add("--tls-key", options.tls_key, "The certificate's key, a PEM file");
    cert->needs(key);
    key->needs(cert);
    const std::map<std::string, LogFormat> formats = {{"json", LogFormat::json}, {"text", LogFormat::text}};
    app.add_option("--log-format", options.log_format, "How the access log is written to standard error: json or text")
        ->envname(environment_name("--log-format"))
        ->transform(CLI::CheckedTransformer(formats).description(""));
    app.add_flag("--debug-tasks", options.debug_tasks,
                 "Show the tree of live tasks at /debug/tasks to who asks from this machine; not for a server behind a "
                 "proxy on the same machine")
        ->envname(environment_name("--debug-tasks"));
    app.add_flag("--debug-tasks-anybody", options.debug_tasks_anybody, "Show it to anybody who asks")
        ->envname(environment_name("--debug-tasks-anybody"));
    add("--crawls", options.crawls, "Crawls that run at the same time; others wait for their turn")
        ->check(CLI::Range(1, 64));
    add("--grace", grace, "Seconds that running requests get to finish when the server stops")
        ->check(CLI::Range(0, longest_grace));
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv, const std::string& version) {
    CLI::App app("Crawls sites, finds their broken links, and searches what was found: an API and a dashboard");
    app.name("coaio-server");
    app.set_version_flag("--version", "coaio-server " + version);
    app.footer(
        "Each option can be given in the environment, too: --data-dir as COAIO_SERVER_DATA_DIR, and so on.\n"
        "SIGTERM and SIGINT stop it in order, a second one at once; SIGUSR1 writes the tree of tasks to standard "
        "error.");
    Options options;
    int grace = static_cast<int>(options.grace.count());
    declare(app, options, grace);
    ParsedOptions result;
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        result.exit_code = app.exit(error, out, out) == 0 ? 0 : 1;
        result.text = out.str();
        return result;
    }
    options.grace = std::chrono::seconds(grace);
    result.options = std::move(options);
    return result;
}

}  // namespace server
