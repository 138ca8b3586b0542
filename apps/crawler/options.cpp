// SPDX-License-Identifier: MIT
#include "crawler/options.hpp"

#include <algorithm>
#include <utility>

#include <CLI/CLI.hpp>

#include <coaio/http/url.hpp>

#include "crawler/command_line.hpp"
#include "crawler/report.hpp"

namespace crawl {
namespace {

struct Raw {
    double delay = 0;
    double timeout = 30;
    bool same_site = false;
    bool same_host = false;
    bool no_fragments = false;
    bool no_sitemaps = false;
};

void declare_scope(CLI::App& app, Options& options, Raw& raw) {
    const std::string group = "What to crawl";
    app.add_option("--max-pages", options.scope.max_pages, "Fetch at most so many pages; 0 for all there are")
        ->group(group)
        ->capture_default_str();
    app.add_option("--depth", options.scope.max_depth, "Follow links so far from the start; 0 for any distance")
        ->group(group)
        ->capture_default_str();
    app.add_option("--include", options.scope.include,
                   "Fetch only what matches one of these globs: * is any text; a glob that starts with / is compared "
                   "with path and query, any other with the whole URL")
        ->group(group)
        ->allow_extra_args(false);
    app.add_option("--exclude", options.scope.exclude, "Do not fetch what matches one of these globs")
        ->group(group)
        ->allow_extra_args(false);
    auto* host =
        app.add_flag("--same-host", raw.same_host, "Stay on the hosts of the start URLs (the default)")->group(group);
    app.add_flag("--same-site", raw.same_site, "Stay on their sites: www.example.org and docs.example.org are one")
        ->group(group)
        ->excludes(host);
    app.add_option("--max-url-size", options.scope.max_url_size, "Longer URLs are taken for traps")
        ->group(group)
        ->capture_default_str()
        ->check(CLI::Range(16, 65536));
    app.add_option("--type", options.types,
                   "Read answers of these media types only, such as text/*; otherwise HTML, CSS and sitemaps")
        ->group(group)
        ->allow_extra_args(false);
    app.add_option("--max-size", options.max_size, "Read at most so many bytes of an answer")
        ->group(group)
        ->capture_default_str();
    app.add_flag("--check-external", options.scope.check_external,
                 "Also ask whether pages of other hosts are there; they count for --max-pages")
        ->group(group);
    app.add_flag("--no-fragments", raw.no_fragments, "Do not check the part of a link that follows #")->group(group);
    app.add_flag("--no-sitemaps", raw.no_sitemaps, "Do not read sitemaps")->group(group);
}

void declare_manners(CLI::App& app, Options& options, Raw& raw) {
    const std::string group = "Manners";
    app.add_option("--concurrency", options.concurrency, "Requests at the same time")
        ->group(group)
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    app.add_option("--per-host", options.manners.per_host, "Requests to one host at the same time")
        ->group(group)
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    app.add_option("--delay", raw.delay, "Seconds between two requests to one host")
        ->group(group)
        ->capture_default_str()
        ->check(CLI::Range(0.0, 3600.0));
    app.add_option("--timeout", raw.timeout, "Seconds for one request")
        ->group(group)
        ->capture_default_str()
        ->check(CLI::Range(0.001, 3600.0));
    app.add_option("--retries", options.manners.max_retries, "Tries after the first, where that may help")
        ->group(group)
        ->capture_default_str()
        ->check(CLI::Range(0, 20));
    app.add_option("--user-agent", options.user_agent, "How to introduce oneself")->group(group);
    app.add_flag("--ignore-robots", options.ignore_robots, "Fetch what robots.txt disallows: for sites of your own")
        ->group(group);
    app.add_flag("--ignore-nofollow", options.ignore_nofollow, "Follow links marked nofollow")->group(group);
}

void declare_output(CLI::App& app, Options& options) {
    const std::string group = "Output";
    app.add_option("--report", options.reports,
                   "Write a report; its format is in the name: .jsonl .csv .md .html, .xml for JUnit")
        ->group(group)
        ->allow_extra_args(false);
    auto* quiet = app.add_flag("-q,--quiet", options.quiet, "No progress, only the summary")->group(group);
    app.add_flag("-v,--verbose", options.verbose, "A line for every page")->group(group)->excludes(quiet);
}

void declare_database(CLI::App& app, Options& options) {
    const std::string group = "Database";
    auto* url =
        app.add_option("--database-url", options.database_url,
                       "Keep the crawl in this Postgres database, such as postgresql://user@host/name; after an "
                       "interruption the same command goes on. A password is better kept in the environment or "
                       "in ~/.pgpass");
    url->group(group);
    app.add_flag("--new-crawl", options.new_crawl, "Begin anew, even where a crawl of the database could go on")
        ->group(group)
        ->needs(url);
}

std::string wrong_with(const Options& options) {
    if (options.urls.empty()) return "no URL is given; say where to begin, such as: coaio-crawl https://example.com/";
    for (const auto& text : options.urls) {
        auto url = coaio::http::Url::try_parse(text);
        if (!url || !url->is_http() || url->host().empty()) {
            return "\"" + one_line(text) +
                   "\" is no URL of http or https; write it whole, such as https://example.com/";
        }
    }
    for (const auto& file : options.reports) {
        if (!report_format(file)) {
            return "the format of the report " + one_line(file) +
                   " is not known; its name must end with .jsonl, .csv, .md, .html or .xml";
        }
    }
    if (!options.user_agent.empty() && one_line(options.user_agent, 1000) != options.user_agent) {
        return "--user-agent must be one line of at most 1000 bytes";
    }
    return {};
}

std::chrono::milliseconds to_millis(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv, const std::string& version) {
    ParsedOptions parsed;
    Options options;
    Raw raw;
    options.user_agent = std::string(product_token) + "/" + version;
    CLI::App app("Crawls a web site and tells which links are broken, and where they stand.", "coaio-crawl");
    app.footer("Every option can also be set in the environment: --max-pages is COAIO_CRAWL_MAX_PAGES. A flag wins.\n"
               "Exit code: 0 all good, 2 broken links, 1 trouble of its own.\n"
               "One crawl by many processes: coaio-crawl enqueue URL... puts it into the database, with these options; "
               "coaio-crawl worker --help.");
    app.set_version_flag("--version", "coaio-crawl " + version);
    app.add_option("URL", options.urls, "Where to begin");
    declare_scope(app, options, raw);
    declare_manners(app, options, raw);
    declare_output(app, options);
    declare_database(app, options);
    if (auto stop = read_command_line(app, argc, argv)) {
        parsed.text = std::move(stop->text);
        parsed.exit_code = stop->exit_code;
        return parsed;
    }
    options.scope.hosts = raw.same_site ? Hosts::same_site : Hosts::same_host;
    options.manners.delay = to_millis(raw.delay);
    options.timeout = to_millis(raw.timeout);
    options.check_fragments = !raw.no_fragments;
    options.sitemaps = !raw.no_sitemaps;
    if (auto wrong = wrong_with(options); !wrong.empty()) {
        parsed.text = "coaio-crawl: " + wrong + "\nRun with --help for more information.\n";
        parsed.exit_code = 1;
        return parsed;
    }
    parsed.options = std::move(options);
    return parsed;
}

}  // namespace crawl
