// SPDX-License-Identifier: MIT
#include "crawler/report.hpp"

#include <sstream>
#include <string>

#include <expat.h>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"

using coaio::http::Url;
using namespace std::chrono_literals;
using tests::contains;

namespace {

const crawl::TimePoint now{1h};

// A crawl with everything hostile in it that a site can send.
crawl::Frontier hostile_crawl() {
    crawl::Frontier frontier({}, {});
    auto start = frontier.add_start(Url::parse("http://a/"));
    crawl::Link link;
    link.target = "/bad";
    link.line = 3;
    link.text = "</td><script>x</script> \x1b[31m \xFF | [x](y)";
    auto bad = *frontier.add_link(Url::parse("http://a/bad?'\"<>|`"), link, start);
    frontier.add_link(Url::parse("http://b/"), link, start);
    while (frontier.take(now)) {}
    crawl::Fetched result;
    result.status = 200;
    result.title = "=cmd|' /C calc'!A0,\"\x01\xEF\xBF\xBF\xC2\x9B</title>]]>&\n";
    result.size = 1500;
    result.elapsed = 1234ms;
    result.type = "text/html";
    crawl::Ended how;
    how.status = 200;
    frontier.finish(start, result, how, now);
    crawl::Fetched failed;
    failed.error = "<b>reset</b> | by \x1b[2J peer";
    frontier.finish(bad, failed, {}, now);
    return frontier;
}

std::string report(crawl::ReportFormat format, const std::string& trouble = {}) {
    auto frontier = hostile_crawl();
    std::ostringstream out;
    write_report(out, format, frontier, summarise(frontier, 65s, trouble));
    return out.str();
}

bool is_xml(const std::string& text) {
    XML_Parser parser = XML_ParserCreate(nullptr);
    bool good = XML_Parse(parser, text.data(), static_cast<int>(text.size()), 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return good;
}

}  // namespace

TEST_CASE("the end of a name tells the format") {
    using crawl::report_format;
    using crawl::ReportFormat;
    CHECK(report_format("a.jsonl") == ReportFormat::json_lines);
    CHECK(report_format("a.CSV") == ReportFormat::csv);
    CHECK(report_format("a.md") == ReportFormat::markdown);
    CHECK(report_format("a.xml") == ReportFormat::junit);
    CHECK(report_format("a.html") == ReportFormat::html);
    CHECK_FALSE(report_format("a.pdf"));
    CHECK_FALSE(report_format(".md"));
}

TEST_CASE("every line of JSON lines is JSON") {
    std::istringstream lines(report(crawl::ReportFormat::json_lines, "stopped"));
    std::vector<nlohmann::json> found;
    for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line));
    REQUIRE(found.size() == 5);
    CHECK(found[0]["url"] == "http://a/");
    CHECK(found[0]["status"] == 200);
    CHECK(found[1]["state"] == "failed");
    CHECK(found[1]["referrers"][0]["url"] == "http://a/");
    CHECK(found[1]["referrers"][0]["line"] == 3);
    CHECK(found[2]["state"] == "refused");
    CHECK(found[3]["type"] == "broken_link");
    CHECK(found[4]["broken_links"] == 1);
    CHECK(found[4]["statuses"]["200"] == 1);
    CHECK(found[4]["trouble"] == "stopped");
}

TEST_CASE("CSV quotes, and gives a spreadsheet no formula") {
    auto text = report(crawl::ReportFormat::csv);
    CHECK_THAT(text, contains("\"'=cmd|' /C calc'!A0,\"\" "));
    CHECK_THAT(text, contains("another host\r\n"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 4);
}

TEST_CASE("Markdown keeps its tables, and what is in them is text") {
    auto text = report(crawl::ReportFormat::markdown);
    CHECK_THAT(text, contains("| http://a/bad?%27%22%3C%3E\\|"));
    CHECK_THAT(text, contains("\\<b\\>reset\\</b\\> \\| by  \\[2J peer"));
    CHECK_THAT(text, contains("http://a/ line 3"));
    CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("JUnit is XML with a failure for what is broken") {
    auto text = report(crawl::ReportFormat::junit, "a & b \x02");
    CHECK(is_xml(text));
    CHECK_THAT(text, contains("tests=\"2\" failures=\"1\" errors=\"1\" time=\"65.000\""));
    CHECK_THAT(text, contains("<failure message=\"&lt;b&gt;reset"));
}

TEST_CASE("HTML escapes all that comes from a site") {
    auto text = report(crawl::ReportFormat::html);
    CHECK(text.find("<script>") == std::string::npos);
    CHECK(text.find("<b>") == std::string::npos);
    CHECK_THAT(text, contains("&lt;b&gt;reset"));
}

TEST_CASE("what XML forbids becomes U+FFFD") {
    CHECK(crawl::escape_xml("a\x01\xEF\xBF\xBE&<\xFF") == "a\xEF\xBF\xBD\xEF\xBF\xBD&amp;&lt;\xEF\xBF\xBD");
}

TEST_CASE("the exit code says how it went") {
    crawl::Summary summary;
    CHECK(exit_code(summary) == 1);
    summary.fetched = 1;
    CHECK(exit_code(summary) == 0);
    summary.broken.emplace_back();
    CHECK(exit_code(summary) == 2);
    summary.trouble = "the disk is full";
    CHECK(exit_code(summary) == 1);
}

TEST_CASE("the summary names broken links and who links to them") {
    auto frontier = hostile_crawl();
    auto text = summary_text(frontier, summarise(frontier, 65s));
    CHECK_THAT(text, contains("1 page in 1 m 05 s, 1.5 kB: 1 with status 200\n"));
    CHECK_THAT(text, contains("1 broken link:\n  http://a/bad"));
    CHECK_THAT(text, contains("    linked from http://a/ line 3"));
    CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("progress fits its line") {
    auto frontier = hostile_crawl();
    CHECK(progress_line(frontier, 2s) == "2 pages, 0 waiting, 0 running, 1 bad, 1.0/s, 2.0 s");
    CHECK(progress_line(frontier, 2s, 10) == "2 pages, 0");
}

TEST_CASE("times and sizes as people read them") {
    CHECK(crawl::human_time(850ms) == "850 ms");
    CHECK(crawl::human_time(12'340ms) == "12.3 s");
    CHECK(crawl::human_time(3min + 5s) == "3 m 05 s");
    CHECK(crawl::human_size(999) == "999 B");
    CHECK(crawl::human_size(1'500'000) == "1.5 MB");
    CHECK(crawl::human_size(999'999) == "1.0 MB");
}

TEST_CASE("one line has no control characters and no broken UTF-8") {
    CHECK(crawl::one_line("a\x1b[0m\n\xC2\x9B\xFF\xC3\xA9") == "a [0m   \xEF\xBF\xBD\xC3\xA9");
    CHECK(crawl::one_line("aaaa", 2) == "aa");
    CHECK(crawl::one_line("a\xC3\xA9", 2) == "a");
}
