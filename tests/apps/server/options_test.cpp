// SPDX-License-Identifier: MIT
#include "server/options.hpp"

#include "support/catch.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "server/access_text.hpp"

namespace {

server::ParsedOptions parse(std::vector<const char*> words) {
    words.insert(words.begin(), "coaio-server");
    return server::parse_options(static_cast<int>(words.size()), words.data(), "1.2.3");
}

// Set for as long as it lives.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { unsetenv(name_); }

private:
    const char* name_;
};

}  // namespace

TEST_CASE("without a flag the server listens on loopback only, with a Postgres of its own") {
    unsetenv("DATABASE_URL");
    const auto parsed = parse({});
    REQUIRE(parsed.options);
    CHECK(parsed.options->host == "127.0.0.1");
    CHECK(parsed.options->port == 8080);
    CHECK(parsed.options->database_url.empty());
    CHECK_FALSE(parsed.options->debug_tasks);
    CHECK_FALSE(parsed.options->debug_tasks_anybody);
}

TEST_CASE("options come from flags and from the environment, and a flag wins") {
    const Variable database("DATABASE_URL", "postgresql:///there");
    const Variable port("COAIO_SERVER_PORT", "1234");
    const Variable folder("COAIO_SERVER_DATA_DIR", "/there");
    const auto parsed = parse({"--port=7", "--log-format=text", "--workers", "3", "--debug-tasks", "--grace=0",
                               "--public-host=crawls.example"});
    REQUIRE(parsed.options);
    CHECK(parsed.options->public_host == "crawls.example");
    CHECK(parsed.options->port == 7);
    CHECK(parsed.options->database_url == "postgresql:///there");
    CHECK(parsed.options->data_dir == "/there");
    CHECK(parsed.options->log_format == server::LogFormat::text);
    CHECK(parsed.options->workers == 3);
    CHECK(parsed.options->debug_tasks);
    CHECK_FALSE(parsed.options->debug_tasks_anybody);
    CHECK(parsed.options->grace.count() == 0);
}

TEST_CASE("mistakes on the command line end with 1 and a sentence, help and version with 0") {
    for (const std::string flag :
         {"--port=70000", "--port=x", "--workers=-1", "--log-format=xml", "--tls-cert=a", "--nothing"}) {
        const auto parsed = parse({flag.c_str()});
        INFO(flag);
        CHECK_FALSE(parsed.options);
        CHECK(parsed.exit_code == 1);
        CHECK_THAT(parsed.text, tests::contains(flag.substr(0, flag.find('='))));
    }
    const auto help = parse({"--help"});
    CHECK(help.exit_code == 0);
    CHECK_THAT(help.text, tests::contains("--data-dir"));
    const auto version = parse({"--version"});
    CHECK(version.exit_code == 0);
    CHECK(version.text == "coaio-server 1.2.3\n");
}

TEST_CASE("the access log in words") {
    CHECK(
        server::access_text(R"({"time":"T","id":"i","peer":"p","method":"GET","target":"/a","route":"/a","status":200,)"
                            R"("bytes":12,"ms":0.3})") == "T p GET /a 200 12 B 0.3 ms i");
    CHECK(server::access_text("not JSON") == "not JSON");
}
