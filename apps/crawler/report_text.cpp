// SPDX-License-Identifier: MIT
#include "crawler/report.hpp"

#include <ostream>

namespace crawl {
namespace {

std::string csv_cell(std::string_view text) {
    auto cell = one_line(text, 4096);
    if (!cell.empty() && std::string_view("=+-@").find(cell.front()) != std::string_view::npos) cell.insert(0, "'");
    if (cell.find_first_of(",\"") == std::string::npos) return cell;
    std::string out = "\"";
    for (char c : cell) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

// Whatever could end a cell of a table, or begin a link, code or an element, is escaped.
std::string md(std::string_view text) {
    std::string out;
    for (char c : one_line(text, 1000)) {
        if (std::string_view("\\`*_[]<>|#&!~").find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

}  // namespace

void write_csv(std::ostream& out, const Frontier& frontier) {
    out << "url,state,status,content_type,bytes,milliseconds,depth,referrers,redirect,title,error\r\n";
    for (const auto& page : frontier.pages()) {
        out << csv_cell(page.url) << ',' << name(page.state) << ',';
        if (page.status != 0) out << page.status;
        out << ',' << csv_cell(page.type) << ',' << page.size << ',' << page.elapsed.count() << ',' << page.depth << ','
            << page.referrer_count << ',';
        if (page.redirect != no_page) out << csv_cell(frontier.page(page.redirect).url);
        out << ',' << csv_cell(page.title) << ','
            << csv_cell(page.refusal == Refusal::none ? std::string_view(page.error) : describe(page.refusal))
            << "\r\n";
    }
}

void write_markdown(std::ostream& out, const Frontier& frontier, const Summary& summary) {
    out << "# Crawl of " << (summary.starts.empty() ? std::string("nothing") : md(summary.starts.front())) << "\n\n";
    out << "| | |\n| --- | ---: |\n";
    out << "| pages | " << summary.fetched << " |\n| no answer | " << summary.failed
        << " |\n| disallowed by robots.txt | " << summary.disallowed << " |\n| outside of the scope | "
        << summary.outside << " |\n| left | " << summary.left << " |\n| size | " << human_size(summary.bytes)
        << " |\n| time | " << human_time(summary.elapsed) << " |\n| broken links | " << summary.broken.size() << " |\n";
    for (const auto& [status, count] : summary.statuses) out << "| status " << status << " | " << count << " |\n";
    if (!summary.trouble.empty()) out << "\nEnded early: " << md(summary.trouble) << "\n";

    out << "\n## Broken links\n\n";
    if (summary.broken.empty()) out << "None.\n";
    if (!summary.broken.empty()) out << "| link | why | linked from |\n| --- | --- | --- |\n";
    for (const auto& link : summary.broken) {
        out << "| " << md(link.url) << " | " << md(link.reason) << " | ";
        bool first = true;
        for (const auto& referrer : link.referrers) {
            out << (first ? "" : "<br>") << md(frontier.page(referrer.page).url);
            if (referrer.line > 0) out << " line " << referrer.line;
            first = false;
        }
        if (link.referrer_count > link.referrers.size()) {
            out << "<br>and " << link.referrer_count - link.referrers.size() << " more times";
        }
        out << " |\n";
    }

    out << "\n## Slowest pages\n\n| page | time |\n| --- | ---: |\n";
    for (auto id : summary.slowest) {
        out << "| " << md(frontier.page(id).url) << " | " << human_time(frontier.page(id).elapsed) << " |\n";
    }
}

}  // namespace crawl
