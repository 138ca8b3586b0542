// SPDX-License-Identifier: MIT
#include "crawler/report.hpp"

#include <ostream>
#include <utility>

#include <nlohmann/json.hpp>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json referrers_json(const Frontier& frontier, const std::vector<Referrer>& referrers) {
    Json list = Json::array();
    for (const auto& referrer : referrers) {
        Json one;
        one["url"] = frontier.page(referrer.page).url;
        one["kind"] = name(referrer.kind);
        if (referrer.line > 0) one["line"] = referrer.line;
        if (!referrer.text.empty()) one["text"] = referrer.text;
        list.push_back(std::move(one));
    }
    return list;
}

}  // namespace

std::optional<ReportFormat> report_format(std::string_view file_name) {
    auto ends_with = [&](std::string_view end) {
        return file_name.size() > end.size() &&
               equal_ignoring_case(file_name.substr(file_name.size() - end.size()), end);
    };
    if (ends_with(".jsonl") || ends_with(".ndjson")) return ReportFormat::json_lines;
    if (ends_with(".csv")) return ReportFormat::csv;
    if (ends_with(".md")) return ReportFormat::markdown;
    if (ends_with(".xml")) return ReportFormat::junit;
    if (ends_with(".html") || ends_with(".htm")) return ReportFormat::html;
    return std::nullopt;
}

void write_report(std::ostream& out, ReportFormat format, const Frontier& frontier, const Summary& summary) {
    switch (format) {
    case ReportFormat::json_lines: write_json_lines(out, frontier, summary); break;
    case ReportFormat::csv: write_csv(out, frontier); break;
    case ReportFormat::markdown: write_markdown(out, frontier, summary); break;
    case ReportFormat::junit: write_junit(out, frontier, summary); break;
    case ReportFormat::html: write_html(out, frontier, summary); break;
    }
}

std::string page_json(const Frontier& frontier, PageId id) {
    const auto& page = frontier.page(id);
    Json json;
    json["type"] = "page";
    json["url"] = page.url;
    json["state"] = name(page.state);
    if (page.refusal != Refusal::none) json["refusal"] = describe(page.refusal);
    if (page.status != 0) json["status"] = page.status;
    if (!page.error.empty()) json["error"] = page.error;
    if (!page.type.empty()) json["content_type"] = page.type;
    if (!page.title.empty()) json["title"] = page.title;
    json["bytes"] = page.size;
    json["milliseconds"] = page.elapsed.count();
    json["depth"] = page.depth;
    json["tries"] = page.tries;
    json["seen_as"] = name(page.kind);
    if (page.redirect != no_page) json["redirect"] = frontier.page(page.redirect).url;
    json["referrer_count"] = page.referrer_count;
    json["referrers"] = referrers_json(frontier, page.referrers);
    return line_of(json);
}

void write_json_lines(std::ostream& out, const Frontier& frontier, const Summary& summary) {
    for (PageId id = 0; id < frontier.pages().size(); ++id) out << page_json(frontier, id) << '\n';
    for (const auto& link : summary.broken) {
        Json json;
        json["type"] = "broken_link";
        json["url"] = link.url;
        json["reason"] = link.reason;
        json["referrer_count"] = link.referrer_count;
        json["referrers"] = referrers_json(frontier, link.referrers);
        out << line_of(json) << '\n';
    }
    Json json;
    json["type"] = "summary";
    json["starts"] = summary.starts;
    json["milliseconds"] = summary.elapsed.count();
    json["fetched"] = summary.fetched;
    json["failed"] = summary.failed;
    json["disallowed"] = summary.disallowed;
    json["outside"] = summary.outside;
    json["left"] = summary.left;
    json["dropped"] = summary.dropped;
    json["bytes"] = summary.bytes;
    json["broken_links"] = summary.broken.size();
    json["statuses"] = Json::object();
    for (const auto& [status, count] : summary.statuses) json["statuses"][std::to_string(status)] = count;
    if (!summary.trouble.empty()) json["trouble"] = summary.trouble;
    out << line_of(json) << '\n';
}

}  // namespace crawl
