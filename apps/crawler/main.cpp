// SPDX-License-Identifier: MIT
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include <coaio/core/error.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/version.hpp>
#include <coaio/http/client.hpp>

#include "crawler/app.hpp"
#include "crawler/http_fetcher.hpp"
#include "crawler/options.hpp"
#include "crawler/worker_options.hpp"
#ifdef COAIO_CRAWL_KEEPS
#include "store/kept_crawl.hpp"
#include "store/worker.hpp"
#endif

namespace {

crawl::Output streams() {
    crawl::Output output;
    output.out = &std::cout;
    output.log = &std::cerr;
    output.terminal = isatty(STDERR_FILENO) == 1;
    winsize size{};
    if (output.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) output.width = size.ws_col;
    return output;
}

std::unique_ptr<crawl::Fetcher> make_fetcher(const crawl::Options& options) {
    return std::make_unique<crawl::HttpFetcher>(coaio::http::Client(crawl::client_options(options)));
}

coaio::Coro<int> crawl_in_memory(crawl::Options options) {
    const auto fetcher = make_fetcher(options);
    co_return co_await crawl::crawl_sites(std::move(options), *fetcher, streams());
}

#ifdef COAIO_CRAWL_KEEPS
coaio::Coro<int> crawl_and_keep(crawl::Options options) {
    const auto fetcher = make_fetcher(options);
    co_return co_await store::crawl_and_keep(std::move(options), *fetcher, streams(), {});
}

coaio::Coro<int> enqueue(crawl::Options options) { return store::enqueue(std::move(options), streams()); }

coaio::Coro<int> work(crawl::WorkerOptions options) { return store::work(std::move(options), make_fetcher, streams()); }
#else
[[noreturn]] void refuse() {
    throw coaio::Error("this program was built without Postgres: leave out --database-url, or build it with db");
}

coaio::Coro<int> crawl_and_keep(const crawl::Options& /*options*/) { refuse(); }

coaio::Coro<int> enqueue(const crawl::Options& /*options*/) { refuse(); }

coaio::Coro<int> work(const crawl::WorkerOptions& /*options*/) { refuse(); }
#endif

coaio::Coro<int> crawl_here(crawl::Options options) {
    if (options.database_url.empty()) return crawl_in_memory(std::move(options));
    return crawl_and_keep(std::move(options));
}

template <class Parsed, class Run>
int run_parsed(Parsed parsed, Run run) {
    if (!parsed.options) {
        (parsed.exit_code == 0 ? std::cout : std::cerr) << parsed.text;
        return parsed.exit_code;
    }
    try {
        return coaio::run(run(std::move(*parsed.options)));
    } catch (const std::exception& error) {
        std::cerr << "coaio-crawl: " << error.what() << '\n';
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string version(coaio::version());
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "worker") return run_parsed(crawl::parse_worker_options(argc - 1, argv + 1, version), work);
    if (command == "enqueue") return run_parsed(crawl::parse_options(argc - 1, argv + 1, version), enqueue);
    return run_parsed(crawl::parse_options(argc, argv, version), crawl_here);
}
