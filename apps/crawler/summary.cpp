// SPDX-License-Identifier: MIT
#include "crawler/summary.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "crawler/charset.hpp"

namespace crawl {
namespace {

constexpr std::size_t slowest_shown = 10;
constexpr std::size_t broken_shown = 200;
constexpr std::size_t referrers_shown = 3;

std::string with_one_decimal(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f", value);
    return text.data();
}

std::string counted(std::size_t count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

Summary summarise(const Frontier& frontier, std::chrono::milliseconds elapsed, std::string trouble) {
    Summary summary;
    summary.elapsed = elapsed;
    summary.trouble = std::move(trouble);
    summary.dropped = frontier.dropped();
    summary.broken = frontier.broken_links();
    const auto& pages = frontier.pages();
    for (PageId id = 0; id < pages.size(); ++id) {
        const auto& page = pages[id];
        if (page.kind == LinkKind::start) summary.starts.push_back(page.url);
        summary.bytes += page.size;
        switch (page.state) {
        case PageState::done:
            ++summary.fetched;
            ++summary.statuses[page.status];
            summary.slowest.push_back(id);
            break;
        case PageState::failed: ++summary.failed; break;
        case PageState::disallowed: ++summary.disallowed; break;
        case PageState::refused: ++summary.outside; break;
        case PageState::queued:
        case PageState::running: ++summary.left; break;
        }
    }
    auto shown = std::min(slowest_shown, summary.slowest.size());
    std::partial_sort(
        summary.slowest.begin(), summary.slowest.begin() + static_cast<std::ptrdiff_t>(shown), summary.slowest.end(),
        [&](PageId a, PageId b) { return std::pair(pages[b].elapsed, a) < std::pair(pages[a].elapsed, b); });
    summary.slowest.resize(shown);
    return summary;
}

int exit_code(const Summary& summary) noexcept {
    if (!summary.trouble.empty() || summary.fetched == 0) return 1;
    return summary.broken.empty() ? 0 : 2;
}

std::string human_time(std::chrono::milliseconds time) {
    auto count = time.count();
    if (count < 1000) return std::to_string(count) + " ms";
    if (count < 60'000) return with_one_decimal(static_cast<double>(count) / 1000) + " s";
    auto seconds = count / 1000 % 60;
    return std::to_string(count / 60'000) + " m " + (seconds < 10 ? "0" : "") + std::to_string(seconds) + " s";
}

std::string human_size(std::uint64_t bytes) {
    if (bytes < 1000) return std::to_string(bytes) + " B";
    auto value = static_cast<double>(bytes) / 1000;
    for (const char* unit : {" kB", " MB", " GB"}) {
        if (value < 999.95) return with_one_decimal(value) + unit;
        value /= 1000;
    }
    return with_one_decimal(value) + " TB";
}

std::string one_line(std::string_view text, std::size_t max) {
    auto out = to_utf8(text.substr(0, max * 4), "UTF-8");
    // Control characters of ASCII, and those of ISO 6429 that UTF-8 writes as C2 80 to C2 9F.
    for (std::size_t i = 0; i < out.size(); ++i) {
        auto byte = static_cast<unsigned char>(out[i]);
        if (byte < 0x20 || byte == 0x7F) out[i] = ' ';
        if (byte == 0xC2 && static_cast<unsigned char>(out[i + 1]) < 0xA0) {
            out[i] = ' ';
            out[i + 1] = ' ';
        }
    }
    return std::string(utf8_prefix(out, max));
}

std::string progress_line(const Frontier& frontier, std::chrono::milliseconds elapsed, std::size_t width) {
    std::size_t done = 0;
    std::size_t bad = 0;
    for (const auto& page : frontier.pages()) {
        if (page.state != PageState::done && page.state != PageState::failed) continue;
        ++done;
        if (page.state == PageState::failed || page.status >= 400) ++bad;
    }
    auto seconds = static_cast<double>(elapsed.count()) / 1000;
    std::string line = counted(done, "page") + ", " + std::to_string(frontier.queued()) + " waiting, " +
                       std::to_string(frontier.running()) + " running, " + std::to_string(bad) + " bad";
    if (seconds > 0.5) line += ", " + with_one_decimal(static_cast<double>(done) / seconds) + "/s";
    line += ", " + human_time(elapsed);
    if (width > 0 && line.size() > width) line.resize(width);
    return line;
}

std::string numbers_text(const Summary& summary) {
    std::string out;
    out += counted(summary.fetched, "page") + " in " + human_time(summary.elapsed) + ", " + human_size(summary.bytes);
    for (const auto& [status, count] : summary.statuses) {
        out += (status == summary.statuses.begin()->first ? ": " : ", ") + std::to_string(count) + " with status " +
               std::to_string(status);
    }
    out += "\n";
    if (summary.failed > 0) out += counted(summary.failed, "page") + " did not answer\n";
    if (summary.disallowed > 0) out += counted(summary.disallowed, "page") + " disallowed by robots.txt\n";
    if (summary.outside > 0) out += std::to_string(summary.outside) + " addresses outside of the crawl's scope\n";
    if (summary.dropped > 0)
        out += counted(summary.dropped, "link") + " not followed: --max-pages, a trap, or too many that lead outside\n";
    if (summary.left > 0) out += counted(summary.left, "page") + " left to fetch\n";
    if (!summary.trouble.empty()) out += "ended early: " + one_line(summary.trouble, 1000) + "\n";
    return out;
}

std::string summary_text(const Frontier& frontier, const Summary& summary) {
    std::string out = numbers_text(summary);
    out += summary.broken.empty() ? "no broken links\n" : "\n" + counted(summary.broken.size(), "broken link") + ":\n";

    std::size_t shown = 0;
    for (const auto& link : summary.broken) {
        if (++shown > broken_shown) {
            out += "  and " + std::to_string(summary.broken.size() - broken_shown) + " more; a report has them all\n";
            break;
        }
        out += "  " + one_line(link.url) + "\n    " + one_line(link.reason) + "\n";
        for (std::size_t i = 0; i < std::min(referrers_shown, link.referrers.size()); ++i) {
            const auto& referrer = link.referrers[i];
            out += "    linked from " + one_line(frontier.page(referrer.page).url);
            if (referrer.line > 0) out += " line " + std::to_string(referrer.line);
            if (!referrer.text.empty()) out += " \"" + one_line(referrer.text, 60) + "\"";
            out += "\n";
        }
        if (link.referrers.empty() && frontier.page(link.page).kind == LinkKind::sitemap) {
            out += "    listed in a sitemap\n";
        }
        auto told = std::min(referrers_shown, link.referrers.size());
        if (link.referrer_count > told) {
            out += "    and " + std::to_string(link.referrer_count - told) + " more times\n";
        }
    }
    return out;
}

}  // namespace crawl
