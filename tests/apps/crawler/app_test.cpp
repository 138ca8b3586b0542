// SPDX-License-Identifier: MIT
#include "crawler/app.hpp"

#include <coaio/core/event.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

#include <unistd.h>

#include "site.hpp"
#include "support/catch.hpp"

using namespace tests;
using namespace std::chrono_literals;

namespace {

struct Ran {
    int code = -1;
    std::string out;
    std::string log;
};

Ran run_app(crawl::Fetcher& fetcher, crawl::Options options, bool terminal = false, crawl::Store* store = nullptr) {
    std::ostringstream out;
    std::ostringstream log;
    crawl::Output output;
    output.out = &out;
    output.log = &log;
    output.terminal = terminal;
    Ran ran;
    ran.code = coaio::testing::run(crawl::crawl_sites(std::move(options), fetcher, output, store));
    ran.out = out.str();
    ran.log = log.str();
    return ran;
}

class Folder {
public:
    Folder() {
        auto name = (std::filesystem::temp_directory_path() / "coaio-crawl-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream in(file(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

private:
    std::string path_;
};

}  // namespace

TEST_CASE("a healthy site ends with 0, broken links with 2, and no answer with 1") {
    Site site;
    site.add("http://a/", links({"/x"}));
    site.add("http://a/x", page(""));
    auto ran = run_app(site, crawl_of({"http://a/"}));
    CHECK(ran.code == 0);
    CHECK_THAT(ran.out, contains("2 pages in "));
    CHECK_THAT(ran.out, contains("no broken links"));
    CHECK(ran.log.empty());

    site.add("http://b/", links({"/gone"}));
    ran = run_app(site, crawl_of({"http://b/"}));
    CHECK(ran.code == 2);
    CHECK_THAT(ran.out, contains("1 broken link:\n  http://b/gone\n    status 404\n    linked from http://b/ line 1"));

    Reply dead;
    dead.failure = "connection refused";
    site.add("http://c/robots.txt", dead);
    ran = run_app(site, crawl_of({"http://c/"}));
    CHECK(ran.code == 1);
    CHECK_THAT(ran.out, contains("connection refused"));
}

TEST_CASE("reports are written in the format of their name, and one that cannot be is trouble") {
    Site site;
    site.add("http://a/", links({"/gone"}));
    const Folder folder;
    auto options = crawl_of({"http://a/"});
    for (const char* each : {"r.jsonl", "r.csv", "r.md", "r.xml", "r.html"})
        options.reports.push_back(folder.file(each));
    CHECK(run_app(site, options).code == 2);
    CHECK_THAT(folder.read("r.jsonl"), contains("\"type\":\"summary\""));
    CHECK_THAT(folder.read("r.csv"), contains("http://a/gone,done,404"));
    CHECK_THAT(folder.read("r.md"), contains("http://a/gone"));
    CHECK_THAT(folder.read("r.xml"), contains("<testsuite"));
    CHECK_THAT(folder.read("r.html"), contains("<html"));

    options.reports = {folder.file("no/such/folder.csv")};
    const auto ran = run_app(site, options);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.log, contains("folder.csv cannot be written"));
    CHECK_THAT(ran.out, contains("status 404"));
}

TEST_CASE("progress is a line now and then, and on a terminal one line that is written over") {
    Site site;
    Reply slow = page("");
    slow.delay = 12s;
    site.add("http://a/", slow);
    auto options = crawl_of({"http://a/"});
    options.quiet = false;
    auto ran = run_app(site, options);
    CHECK_THAT(ran.log, contains("0 pages, 0 waiting, 1 running, 0 bad, 0.0/s, 5.0 s\n"));
    CHECK_THAT(ran.log, contains("10.0 s\n"));
    CHECK(std::count(ran.log.begin(), ran.log.end(), '\n') == 2);

    ran = run_app(site, options, true);
    CHECK(ran.log.find('\n') == std::string::npos);
    CHECK_THAT(ran.log, contains("11.0 s\r\x1b[K"));
    CHECK(ran.log.ends_with("\r\x1b[K"));
}

TEST_CASE("with --verbose each page has its line") {
    Site site;
    site.add("http://a/", links({"/x", "/gone"}));
    site.add("http://a/x", text("12345", "text/css"));
    auto options = crawl_of({"http://a/"});
    options.quiet = false;
    options.verbose = true;
    const auto ran = run_app(site, options);
    CHECK(ran.log == "200 http://a/, 10 ms, 46 B\n200 http://a/x, 10 ms, 5 B\n404 http://a/gone, 10 ms, 0 B\n");
}

TEST_CASE("a signal ends the crawl early, with the summary so far") {
    class Interrupted final : public crawl::Fetcher {
    public:
        coaio::Coro<crawl::Answer> fetch(coaio::http::Url url, crawl::FetchOptions) override {
            crawl::Answer answer;
            answer.status = url.path() == "/" ? 200 : 404;
            answer.content_type = "text/html";
            answer.complete = true;
            answer.body = "<a href=/on>on</a>";
            if (url.path() == "/on") {
                std::raise(SIGUSR1);
                std::raise(SIGTERM);
                co_await never_.wait();
            }
            co_return answer;
        }

    private:
        coaio::Event never_;
    };
    Interrupted fetcher;
    auto options = crawl_of({"http://a/"});
    options.timeout = 1h;
    const auto ran = run_app(fetcher, options);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.out, contains("1 page in "));
    CHECK_THAT(ran.out, contains("1 page left to fetch"));
    CHECK_THAT(ran.out, contains("ended early: terminated"));
    CHECK_THAT(ran.log, contains("http://a/on waiting"));
    CHECK_THAT(ran.log, contains("waits for event"));
}

namespace {

coaio::Coro<int> cancel_after(coaio::Duration time, coaio::Coro<int> app) {
    auto running = coaio::create_task(std::move(app));
    co_await coaio::sleep(time);
    running.cancel();
    co_return co_await std::move(running);
}

}  // namespace

TEST_CASE("cancelled, the crawl ends early too, its reports are written and its code is given") {
    Site site;
    site.add("http://a/", links({"/slow"}));
    Reply slow = page("");
    slow.delay = 1h;
    site.add("http://a/slow", slow);
    const Folder folder;
    auto options = crawl_of({"http://a/"});
    options.timeout = 2h;
    options.quiet = false;
    options.reports = {folder.file("r.csv")};
    std::ostringstream out;
    std::ostringstream log;
    crawl::Output output;
    output.out = &out;
    output.log = &log;
    CHECK(coaio::testing::run(cancel_after(60s, crawl::crawl_sites(options, site, output))) == 1);
    CHECK_THAT(out.str(), contains("ended early: interrupted"));
    CHECK_THAT(folder.read("r.csv"), contains("http://a/,done,200"));
    CHECK(site.running() == 0);
}

TEST_CASE("a store that fails is trouble, and the summary so far is told") {
    class Full final : public crawl::Store {
    public:
        coaio::Coro<> commit(const crawl::FinishedPage& page) override {
            if (page.page->depth > 0) throw std::runtime_error("the disk is full");
            co_return;
        }
    };
    Site site;
    site.add("http://a/", links({"/x"}));
    Full store;
    const auto ran = run_app(site, crawl_of({"http://a/"}), false, &store);
    CHECK(ran.code == 1);
    CHECK_THAT(ran.out, contains("1 page in "));
    CHECK_THAT(ran.out, contains("ended early: the disk is full"));
}
