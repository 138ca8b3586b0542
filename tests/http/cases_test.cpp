// SPDX-License-Identifier: MIT
#include "http/decode_events.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

// The pages in tests/http/cases: raw bytes in, events out. cases/README.md says how they are written.
namespace {

using coaio::http::detail::DecodeLimits;
using coaio::http::detail::Side;

struct Case {
    std::string name;
    Side side = Side::request;
    std::string method = "GET";
    DecodeLimits limits;
    std::string input;
    std::vector<std::string> events;
};

std::size_t number(const std::string& text) { return std::strtoul(text.c_str(), nullptr, 10); }

// The words of a fence: ```request head_bytes=100
void read_options(Case& into, const std::string& fence) {
    std::istringstream words(fence);
    std::string word;
    words >> word;
    into.side = word == "request" ? Side::request : Side::response;
    while (words >> word) {
        auto equals = word.find('=');
        REQUIRE(equals != std::string::npos);
        std::string key = word.substr(0, equals), value = word.substr(equals + 1);
        if (key == "method")
            into.method = value;
        else if (key == "head_bytes")
            into.limits.head_bytes = number(value);
        else if (key == "target_bytes")
            into.limits.target_bytes = number(value);
        else if (key == "header_count")
            into.limits.header_count = number(value);
        else if (key == "trailer_bytes")
            into.limits.trailer_bytes = number(value);
        else if (key == "body_bytes")
            into.limits.body_bytes = number(value);
        else
            FAIL("what is the option " << key << "?");
    }
}

std::vector<Case> read_page(const std::filesystem::path& path) {
    std::vector<Case> cases;
    std::ifstream file(path);
    std::string line, title;
    while (std::getline(file, line)) {
        if (line.rfind("## ", 0) == 0) title = line.substr(3);
        if (line.rfind("```re", 0) == 0) {
            Case one;
            one.name = path.filename().string() + ": " + title;
            read_options(one, line.substr(3));
            while (std::getline(file, line) && line != "```") {
                bool open = !line.empty() && line.back() == '\\' && (line.size() < 2 || line[line.size() - 2] != '\\');
                if (open) line.pop_back();
                one.input += tests::unescaped(line) + (open ? "" : "\r\n");
            }
            cases.push_back(one);
        } else if (line == "```events") {
            REQUIRE_FALSE(cases.empty());
            while (std::getline(file, line) && line != "```") cases.back().events.push_back(line);
        }
    }
    return cases;
}

// An expected line is the event itself; of a failure, how the event starts.
bool same(const std::vector<std::string>& got, const std::vector<std::string>& expected) {
    return std::equal(got.begin(), got.end(), expected.begin(), expected.end(),
                      [](const std::string& event, const std::string& line) {
                          return line.rfind("failed", 0) == 0 ? event.rfind(line, 0) == 0 : event == line;
                      });
}

std::string lines(const std::vector<std::string>& events) {
    std::string out;
    for (const auto& event : events) out += event + "\n";
    return out;
}

}  // namespace

TEST_CASE("the decoder makes of each page's bytes what the page says, wherever reads split them") {
    const char* root = std::getenv("COAIO_SOURCE_DIR");
    auto folder = std::filesystem::path(root != nullptr ? root : ".") / "tests/http/cases";
    std::size_t count = 0;
    std::vector<std::filesystem::path> pages;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".md" && entry.path().filename() != "README.md") pages.push_back(entry.path());
    }
    std::sort(pages.begin(), pages.end());
    for (const auto& page : pages) {
        for (const auto& one : read_page(page)) {
            ++count;
            auto run = [&](const std::vector<std::size_t>& pieces) {
                return tests::decode_events(one.side, one.input, pieces, one.method, one.limits);
            };
            auto whole = run({});
            INFO(one.name << "\nexpected\n" << lines(one.events) << "got\n" << lines(whole));
            CHECK(same(whole, one.events));
            for (std::size_t at = 0; at <= one.input.size() && one.input.size() < 5000; ++at) {
                auto split = run({at});
                if (same(split, one.events)) continue;
                INFO("split at byte " << at << ":\n" << lines(split));
                CHECK(false);
                break;
            }
            auto bytes = run(std::vector<std::size_t>(one.input.size(), 1));
            INFO("byte by byte\n" << lines(bytes));
            CHECK(same(bytes, one.events));
        }
    }
    CHECK(count > 60);
}
