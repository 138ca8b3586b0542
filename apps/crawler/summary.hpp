// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crawler/frontier.hpp"

namespace crawl {

/// A crawl in numbers.
struct Summary {
    std::vector<std::string> starts;
    std::chrono::milliseconds elapsed{0};
    std::size_t fetched = 0;     // answered
    std::size_t failed = 0;      // not answered
    std::size_t disallowed = 0;  // by robots.txt
    std::size_t outside = 0;     // addresses that the scope refused
    std::size_t left = 0;        // still waiting when it ended
    std::size_t dropped = 0;     // links not followed because of max_pages, a trap, or too many that lead outside
    std::uint64_t bytes = 0;
    std::map<int, std::size_t> statuses;
    std::vector<PageId> slowest;  // at most ten
    std::vector<BrokenLink> broken;
    std::string trouble;  // of the crawler's own: why it ended before it was done
};

[[nodiscard]] Summary summarise(const Frontier& frontier, std::chrono::milliseconds elapsed, std::string trouble = {});

/// 0 all good, 2 broken links, 1 trouble of its own: which includes that nothing at all could be fetched.
[[nodiscard]] int exit_code(const Summary& summary) noexcept;

/// "3 m 05 s", "12.3 s", "850 ms".
[[nodiscard]] std::string human_time(std::chrono::milliseconds time);
/// "1.5 MB"
[[nodiscard]] std::string human_size(std::uint64_t bytes);

/// Text from a page or a server made fit for a terminal or a line of a report: control characters become spaces,
/// broken UTF-8 becomes U+FFFD, and it has at most `max` bytes.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t max = 300);

/// One line about a crawl that is going on. With `width` (of a terminal) it is cut to that.
[[nodiscard]] std::string progress_line(const Frontier& frontier, std::chrono::milliseconds elapsed,
                                        std::size_t width = 0);

/// The numbers, a line or more.
[[nodiscard]] std::string numbers_text(const Summary& summary);

/// What a person reads at the end: numbers, and a table of broken links with the pages that link to them.
[[nodiscard]] std::string summary_text(const Frontier& frontier, const Summary& summary);

}  // namespace crawl
