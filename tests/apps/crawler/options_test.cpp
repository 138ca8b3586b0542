// SPDX-License-Identifier: MIT
#include "crawler/options.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using tests::contains;

namespace {

crawl::ParsedOptions parse(std::vector<const char*> words) {
    words.insert(words.begin(), "coaio-crawl");
    return crawl::parse_options(static_cast<int>(words.size()), words.data(), "1.2.3");
}

class Environment {
public:
    Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Environment() { unsetenv(name_); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

private:
    const char* name_;
};

}  // namespace

TEST_CASE("a URL is enough") {
    auto parsed = parse({"http://example.com/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->urls == std::vector<std::string>{"http://example.com/"});
    CHECK(parsed.options->user_agent == "coaio-crawl/1.2.3");
    CHECK(parsed.options->scope.hosts == crawl::Hosts::same_host);
    CHECK(parsed.options->check_fragments);
    CHECK(parsed.options->timeout == 30s);
}

TEST_CASE("flags are read") {
    auto parsed = parse({"--max-pages", "5",    "--depth=2", "--include", "/a/*",
                         "--include",   "/b/*", "--exclude", "*.pdf",     "--same-site",
                         "--delay",     "0.25", "--timeout", "1.5",       "--no-fragments",
                         "--report",    "x.md", "http://a/", "http://b/", "-q",
                         "--retries",   "0"});
    REQUIRE(parsed.options);
    const auto& options = *parsed.options;
    CHECK(options.scope.max_pages == 5);
    CHECK(options.scope.max_depth == 2);
    CHECK(options.scope.include == std::vector<std::string>{"/a/*", "/b/*"});
    CHECK(options.scope.exclude == std::vector<std::string>{"*.pdf"});
    CHECK(options.scope.hosts == crawl::Hosts::same_site);
    CHECK(options.manners.delay == 250ms);
    CHECK(options.manners.max_retries == 0);
    CHECK(options.timeout == 1500ms);
    CHECK_FALSE(options.check_fragments);
    CHECK(options.reports == std::vector<std::string>{"x.md"});
    CHECK(options.urls.size() == 2);
    CHECK(options.quiet);
}

TEST_CASE("the environment is read, and a flag wins") {
    Environment pages("COAIO_CRAWL_MAX_PAGES", "7");
    Environment robots("COAIO_CRAWL_IGNORE_ROBOTS", "1");
    auto parsed = parse({"http://a/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->scope.max_pages == 7);
    CHECK(parsed.options->ignore_robots);
    parsed = parse({"--max-pages", "9", "http://a/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->scope.max_pages == 9);
}

TEST_CASE("a database is named by flag or by environment, and DATABASE_URL is none of its business") {
    Environment other("DATABASE_URL", "postgresql://elsewhere/x");
    auto parsed = parse({"http://a/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->database_url.empty());
    Environment database("COAIO_CRAWL_DATABASE_URL", "postgresql://user:geheim@here/x");
    parsed = parse({"http://a/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->database_url == "postgresql://user:geheim@here/x");
    CHECK_FALSE(parsed.options->new_crawl);
    parsed = parse({"--new-crawl", "http://a/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->new_crawl);
    parsed = parse({"--database-url=host=there", "http://a/"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->database_url == "host=there");
    CHECK(parse({"--help"}).text.find("geheim") == std::string::npos);
    CHECK(parse({"--no-such-thing"}).text.find("geheim") == std::string::npos);
}

TEST_CASE("help and version are no mistakes") {
    auto help = parse({"--help"});
    CHECK_FALSE(help.options);
    CHECK(help.exit_code == 0);
    CHECK_THAT(help.text, contains("--max-pages"));
    CHECK_THAT(help.text, contains("Exit code"));
    auto version = parse({"--version"});
    CHECK(version.exit_code == 0);
    CHECK_THAT(version.text, contains("coaio-crawl 1.2.3"));
}

TEST_CASE("a mistake is told with what to do") {
    auto wrong = [](std::vector<const char*> words) {
        auto parsed = parse(std::move(words));
        CHECK_FALSE(parsed.options);
        CHECK(parsed.exit_code == 1);
        return parsed.text;
    };
    CHECK_THAT(wrong({}), contains("no URL is given"));
    CHECK_THAT(wrong({"example.com"}), contains("\"example.com\" is no URL of http or https"));
    CHECK_THAT(wrong({"ftp://a/"}), contains("is no URL of http"));
    CHECK_THAT(wrong({"http://a/", "--report", "x.pdf"}), contains(".jsonl, .csv, .md, .html or .xml"));
    CHECK_THAT(wrong({"http://a/", "--concurrency", "0"}), contains("--concurrency"));
    CHECK_THAT(wrong({"http://a/", "--max-pages", "many"}), contains("--max-pages"));
    CHECK_THAT(wrong({"http://a/", "--same-host", "--same-site"}), contains("--same-"));
    CHECK_THAT(wrong({"http://a/", "--no-such-thing"}), contains("--no-such-thing"));
    CHECK_THAT(wrong({"http://a/", "--new-crawl"}), contains("--database-url"));
    CHECK_THAT(wrong({"http://a/", "--user-agent", "a\r\nX: y"}), contains("--user-agent must be one line"));
}
