// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>

#include <coaio/core/coro.hpp>

#include "crawler/console.hpp"
#include "crawler/crawler.hpp"
#include "crawler/fetcher.hpp"
#include "crawler/options.hpp"
#include "crawler/store.hpp"

namespace crawl {

/// Runs a crawler, with what belongs beside it; it may tell the user a line.
using RunCrawler = std::function<coaio::Coro<>(Crawler& crawler, std::function<void(const std::string&)> say)>;

/// The whole program but for its options: crawls, shows progress, writes reports and the summary, and gives the exit
/// code. SIGUSR1 writes the tree of tasks to `log`.
/// Cancellation, which `run` makes of SIGINT, and SIGTERM: end the crawl early, with the summary and the reports so far;
/// a second signal ends the program at once.
///
/// `run`, where there is one, runs the crawler in place of `Crawler::run`; what it throws ends the crawl with that trouble.
[[nodiscard]] coaio::Coro<int> crawl_sites(Options options, Fetcher& fetcher, Output output, Store* store = nullptr,
                                           RunCrawler run = {});

}  // namespace crawl
