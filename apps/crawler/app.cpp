// SPDX-License-Identifier: MIT
#include "crawler/app.hpp"

#include <chrono>
#include <exception>
#include <fstream>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include <coaio/core/error.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/task_group.hpp>

#include "crawler/console.hpp"
#include "crawler/report.hpp"
#include "crawler/summary.hpp"

namespace crawl {
namespace {

using namespace std::chrono_literals;

coaio::Coro<> show_progress(const Crawler& crawler, Screen& screen) {
    const coaio::Duration pause = screen.is_terminal() ? coaio::Duration(500ms) : coaio::Duration(5s);
    for (;;) {
        co_await coaio::sleep(pause);
        const auto width = screen.is_terminal() ? screen.width() : 0;
        const auto text = progress_line(crawler.frontier(), crawler.elapsed(), width);
        if (screen.is_terminal()) {
            screen.live(text);
        } else {
            screen.line(text);
        }
    }
}

std::string line_about(const Page& page) {
    std::string line = page.status == 0 ? std::string(name(page.state)) : std::to_string(page.status);
    line += " " + one_line(page.url, 1000);
    if (page.status != 0) line += ", " + human_time(page.elapsed) + ", " + human_size(page.size);
    if (!page.error.empty()) line += ": " + one_line(page.error);
    return line;
}

coaio::Coro<> show_pages(coaio::AsyncGenerator<PageId> pages, const Crawler& crawler, Screen& screen) {
    while (auto id = co_await pages.next()) screen.line(line_about(crawler.frontier().page(*id)));
}

std::string trouble_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const coaio::ExceptionGroup& group) {
        return trouble_of(group.exceptions().front());
    } catch (const std::exception& single) {
        return single.what();
    }
}

/// Gives what was in the way of a whole crawl, if anything.
coaio::Coro<std::string> crawl_to_the_end(Crawler& crawler, Screen& screen, const RunCrawler& run) {
    Signals signals(screen);
    std::string trouble;
    const auto say = [&screen](const std::string& text) { screen.line(text); };
    auto work = run ? run(crawler, say) : crawler.run();
    // From here to the await nothing may throw: the crawler would be gone before its task.
    auto crawling = coaio::create_task(std::move(work), {.name = "crawl"});
    signals.will_end(crawling);
    try {
        co_await crawling;
    } catch (const coaio::CancelledError&) {
        trouble = signals.terminated() ? "terminated" : "interrupted";
        // The request has been granted: what follows, reports and summary, is no longer to be cancelled.
        if (!signals.terminated()) coaio::current_task()->uncancel();
    } catch (const std::exception&) {
        trouble = trouble_of(std::current_exception());
    }
    co_return trouble;
}

std::string write_reports(const Crawler& crawler, const Summary& summary) {
    std::string trouble;
    for (const auto& name : crawler.options().reports) {
        std::ofstream file(name, std::ios::binary);
        const auto format = report_format(name);
        if (file && format) write_report(file, *format, crawler.frontier(), summary);
        file.close();
        if (!file) trouble = "the report " + name + " cannot be written: look at its folder, its rights and the disk";
    }
    return trouble;
}

}  // namespace

coaio::Coro<int> crawl_sites(Options options, Fetcher& fetcher, Output output, Store* store, RunCrawler run) {
    Crawler crawler(std::move(options), fetcher, store);
    Screen screen(output);
    std::string trouble;
    auto body = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
        if (crawler.options().verbose) group.create_task(show_pages(crawler.finished(), crawler, screen));
        if (!crawler.options().quiet) group.create_task(show_progress(crawler, screen));
        trouble = co_await crawl_to_the_end(crawler, screen, run);
        if (crawler.options().verbose) co_await coaio::sleep(0ns);  // the last lines
        group.cancel();
    };
    co_await coaio::task_group(body);
    screen.clear();

    auto summary = crawler.summary(trouble);
    const auto unwritten = write_reports(crawler, summary);
    if (!unwritten.empty()) screen.line("coaio-crawl: " + unwritten);
    *output.out << summary_text(crawler.frontier(), summary) << std::flush;
    co_return unwritten.empty() ? exit_code(summary) : 1;
}

}  // namespace crawl
