// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "crawler/frontier.hpp"
#include "crawler/summary.hpp"

namespace crawl {

enum class ReportFormat : std::uint8_t { json_lines, csv, markdown, junit, html };

/// By the end of a file's name: .jsonl .ndjson .csv .md .xml .html .htm.
[[nodiscard]] std::optional<ReportFormat> report_format(std::string_view file_name);

/// Writes the whole crawl in one of the formats. What comes from pages and servers is escaped for its format; text
/// that is not UTF-8 becomes so.
///
/// JSON lines: an object a page, `"type": "page"`, then one a broken link, then one `"summary"`.
/// CSV: a row a page (RFC 4180); a cell that a spreadsheet would take for a formula begins with an apostrophe.
/// Markdown, HTML: the summary, the broken links with their referrers, the slowest pages.
/// JUnit XML: a test case a page, which fails if it is broken, so that a CI server shows it.
void write_report(std::ostream& out, ReportFormat format, const Frontier& frontier, const Summary& summary);

/// The parts of `write_report`.
void write_json_lines(std::ostream& out, const Frontier& frontier, const Summary& summary);
void write_csv(std::ostream& out, const Frontier& frontier);
void write_markdown(std::ostream& out, const Frontier& frontier, const Summary& summary);
void write_junit(std::ostream& out, const Frontier& frontier, const Summary& summary);
void write_html(std::ostream& out, const Frontier& frontier, const Summary& summary);

/// One page as a line of JSON, without the line's end: what a crawl may also print as it goes.
[[nodiscard]] std::string page_json(const Frontier& frontier, PageId id);

/// Fit for the content and the attribute values of XML and HTML; characters that XML forbids become U+FFFD.
[[nodiscard]] std::string escape_xml(std::string_view text);

}  // namespace crawl
