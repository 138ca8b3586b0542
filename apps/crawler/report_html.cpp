// SPDX-License-Identifier: MIT
#include "crawler/report.hpp"

#include <array>
#include <cstdio>
#include <map>
#include <ostream>

#include "crawler/charset.hpp"

namespace crawl {
namespace {

std::string seconds(std::chrono::milliseconds time) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%lld.%03lld", static_cast<long long>(time.count() / 1000),
                  static_cast<long long>(time.count() % 1000));
    return text.data();
}

// Links only to what a browser opens without running it.
std::string anchor(std::string_view url) {
    auto text = escape_xml(url);
    bool web = url.substr(0, 7) == "http://" || url.substr(0, 8) == "https://";
    return web ? "<a rel=\"noreferrer\" href=\"" + text + "\">" + text + "</a>" : text;
}

std::string referrers_text(const Frontier& frontier, const BrokenLink& link) {
    std::string text;
    for (const auto& referrer : link.referrers) {
        text += "linked from " + frontier.page(referrer.page).url;
        if (referrer.line > 0) text += " line " + std::to_string(referrer.line);
        text += "\n";
    }
    return text;
}

constexpr std::string_view style =
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 "
    "1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;"
    "border-bottom:1px solid #ccc;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}a{color:#8bf}}";

}  // namespace

std::string escape_xml(std::string_view text) {
    std::string out;
    auto valid = to_utf8(text, "UTF-8");
    for (std::size_t i = 0; i < valid.size(); ++i) {
        char c = valid[i];
        auto byte = static_cast<unsigned char>(c);
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&#39;"; break;
        default:
            if ((byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F) {
                out += "\xEF\xBF\xBD";
            } else if (valid.compare(i, 2, "\xEF\xBF") == 0 && i + 2 < valid.size() &&
                       static_cast<unsigned char>(valid[i + 2]) >= 0xBE) {
                out += "\xEF\xBF\xBD";  // U+FFFE and U+FFFF are no characters of XML
                i += 2;
            } else {
                out += c;
            }
        }
    }
    return out;
}

void write_junit(std::ostream& out, const Frontier& frontier, const Summary& summary) {
    std::multimap<PageId, const BrokenLink*> broken;
    for (const auto& link : summary.broken) broken.emplace(link.page, &link);
    std::size_t tests = 0;
    for (const auto& page : frontier.pages()) tests += page.state == PageState::refused ? 0 : 1;
    std::size_t failures = 0;
    for (auto each = broken.begin(); each != broken.end(); each = broken.upper_bound(each->first)) ++failures;

    out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"coaio-crawl\" tests=\"" << tests
        << "\" failures=\"" << failures << "\" errors=\"" << (summary.trouble.empty() ? 0 : 1) << "\" time=\""
        << seconds(summary.elapsed) << "\">\n";
    for (PageId id = 0; id < frontier.pages().size(); ++id) {
        const auto& page = frontier.page(id);
        if (page.state == PageState::refused) continue;
        out << "<testcase classname=\"" << escape_xml(page.host) << "\" name=\"" << escape_xml(page.url) << "\" time=\""
            << seconds(page.elapsed) << "\">";
        auto [begin, end] = broken.equal_range(id);
        // The format knows one failure a test case.
        if (begin != end) {
            out << "<failure message=\"" << escape_xml(begin->second->reason) << "\">";
            for (auto each = begin; each != end; ++each) {
                out << escape_xml(each->second->url + ": " + each->second->reason + "\n" +
                                  referrers_text(frontier, *each->second));
            }
            out << "</failure>";
        } else if (page.state != PageState::done && page.state != PageState::failed) {
            out << "<skipped message=\"" << name(page.state) << "\"/>";
        }
        out << "</testcase>\n";
    }
    if (!summary.trouble.empty()) out << "<system-err>" << escape_xml(summary.trouble) << "</system-err>\n";
    out << "</testsuite>\n</testsuites>\n";
}

void write_html(std::ostream& out, const Frontier& frontier, const Summary& summary) {
    auto title = "Crawl of " + (summary.starts.empty() ? std::string("nothing") : summary.starts.front());
    out << "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
           "<meta name=\"viewport\" content=\"width=device-width\"><title>"
        << escape_xml(title) << "</title><style>" << style << "</style>\n<h1>" << escape_xml(title) << "</h1>\n";
    out << "<p>" << summary.fetched << " pages, " << human_size(summary.bytes) << ", in " << human_time(summary.elapsed)
        << ". " << summary.failed << " did not answer, " << summary.disallowed << " disallowed by robots.txt, "
        << summary.outside << " outside of the scope, " << summary.left << " left.</p>\n";
    if (!summary.trouble.empty()) out << "<p><strong>Ended early:</strong> " << escape_xml(summary.trouble) << "</p>\n";

    out << "<h2>Broken links (" << summary.broken.size() << ")</h2>\n";
    if (!summary.broken.empty()) out << "<table><tr><th>link<th>why<th>linked from\n";
    for (const auto& link : summary.broken) {
        out << "<tr><td>" << anchor(link.url) << "<td>" << escape_xml(link.reason) << "<td>";
        for (const auto& referrer : link.referrers) {
            out << anchor(frontier.page(referrer.page).url);
            if (referrer.line > 0) out << " line " << referrer.line;
            out << "<br>";
        }
        if (link.referrer_count > link.referrers.size()) {
            out << "and " << link.referrer_count - link.referrers.size() << " more times";
        }
        out << "\n";
    }
    if (!summary.broken.empty()) out << "</table>\n";

    out << "<h2>Answers</h2>\n<table><tr><th>status<th>pages\n";
    for (const auto& [status, count] : summary.statuses) out << "<tr><td>" << status << "<td>" << count << "\n";
    out << "</table>\n<h2>Slowest pages</h2>\n<table><tr><th>page<th>time\n";
    for (auto id : summary.slowest) {
        out << "<tr><td>" << anchor(frontier.page(id).url) << "<td>" << human_time(frontier.page(id).elapsed) << "\n";
    }
    out << "</table></html>\n";
}

}  // namespace crawl
