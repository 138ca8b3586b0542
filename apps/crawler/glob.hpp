// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crawl {

/// A pattern in which `*` stands for any run of bytes, also an empty one, and everything else for itself.
/// There is no `?`: in a URL that is an ordinary character. Matching takes time proportional to text and pattern.
class Glob {
public:
    /// Where a match has to end.
    enum class End { anywhere, at_the_end };

    explicit Glob(std::string_view pattern, End end = End::at_the_end);

    /// Whether `text`, from its first byte, matches.
    [[nodiscard]] bool matches(std::string_view text) const;

    /// The number of bytes that stand for themselves: no shorter text can match.
    [[nodiscard]] std::size_t literal_size() const noexcept { return literal_size_; }

private:
    std::vector<std::string>
        pieces_;  // what stands between the stars: the first at the start, the last maybe at the end
    std::size_t literal_size_ = 0;
    bool open_end_;
};

}  // namespace crawl
