// SPDX-License-Identifier: MIT
#include <exception>
#include <iostream>
#include <string>
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
#ifdef COAIO_CRAWL_KEEPS
#include "store/kept_crawl.hpp"
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

coaio::Coro<int> amain(crawl::Options options) {
    crawl::HttpFetcher fetcher{coaio::http::Client(crawl::client_options(options))};
    if (!options.database_url.empty()) {
#ifdef COAIO_CRAWL_KEEPS
        co_return co_await store::crawl_and_keep(std::move(options), fetcher, streams(), {});
#else
        throw coaio::Error("this program was built without Postgres: leave out --database-url, or build it with db");
#endif
    }
    co_return co_await crawl::crawl_sites(std::move(options), fetcher, streams());
}

}  // namespace

int main(int argc, char** argv) {
    auto parsed = crawl::parse_options(argc, argv, std::string(coaio::version()));
    if (!parsed.options) {
        (parsed.exit_code == 0 ? std::cout : std::cerr) << parsed.text;
        return parsed.exit_code;
    }
    try {
        return coaio::run(amain(std::move(*parsed.options)));
    } catch (const std::exception& error) {
        std::cerr << "coaio-crawl: " << error.what() << '\n';
        return 1;
    }
}
