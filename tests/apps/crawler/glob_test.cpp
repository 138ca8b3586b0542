// SPDX-License-Identifier: MIT
#include "crawler/glob.hpp"

#include <string>

#include "support/catch.hpp"

using crawl::Glob;

namespace {

// The plainest definition, for comparison.
bool slow_match(std::string_view pattern, std::string_view text, bool open_end) {
    if (pattern.empty()) return open_end || text.empty();
    if (pattern.front() != '*') {
        return !text.empty() && text.front() == pattern.front() &&
               slow_match(pattern.substr(1), text.substr(1), open_end);
    }
    for (std::size_t skip = 0; skip <= text.size(); ++skip) {
        if (slow_match(pattern.substr(1), text.substr(skip), open_end)) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a star stands for any run of bytes") {
    CHECK(Glob("/docs/*").matches("/docs/"));
    CHECK(Glob("/docs/*").matches("/docs/a/b?c=d"));
    CHECK_FALSE(Glob("/docs/*").matches("/doc/"));
    CHECK(Glob("*.pdf").matches("/a.pdf"));
    CHECK_FALSE(Glob("*.pdf").matches("/a.pdf?x"));
    CHECK(Glob("*").matches(""));
    CHECK(Glob("a**b").matches("ab"));
    CHECK_FALSE(Glob("").matches("a"));
    CHECK(Glob("", Glob::End::anywhere).matches("a"));
    CHECK(Glob("a?b").matches("a?b"));
    CHECK_FALSE(Glob("a?b").matches("acb"));
}

TEST_CASE("the first piece and the last may not overlap") {
    CHECK_FALSE(Glob("ab*ba").matches("aba"));
    CHECK(Glob("ab*ba").matches("abba"));
}

TEST_CASE("every glob up to four characters agrees with the definition") {
    std::vector<std::string> patterns{""};
    std::vector<std::string> texts{""};
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        if (patterns[i].size() == 4) break;
        for (char c : {'a', 'b', '*'}) patterns.push_back(patterns[i] + c);
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].size() == 5) break;
        for (char c : {'a', 'b'}) texts.push_back(texts[i] + c);
    }
    std::size_t wrong = 0;
    for (const auto& pattern : patterns) {
        Glob closed(pattern);
        Glob open(pattern, Glob::End::anywhere);
        for (const auto& text : texts) {
            if (closed.matches(text) != slow_match(pattern, text, false)) ++wrong;
            if (open.matches(text) != slow_match(pattern, text, true)) ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("a hostile pattern takes no longer than text and pattern are long") {
    std::string pattern;
    for (int i = 0; i < 500; ++i) pattern += "*aaab";
    CHECK_FALSE(Glob(pattern).matches(std::string(200'000, 'a')));
}
