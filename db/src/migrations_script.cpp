// SPDX-License-Identifier: MIT
#include "migrations_script.hpp"

#include <coaio/db/error.hpp>

#include <algorithm>

namespace coaio::db::detail {
namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

class Splitter {
public:
    explicit Splitter(std::string_view script) noexcept : script_(script) {}

    std::vector<ScriptStatement> split() {
        while (at_ < script_.size()) step();
        if (parentheses_ > 0) unfinished("a parenthesis", opened_);
        if (atomic_ > 0) unfinished("the body of a function", start_);
        end_statement();
        return std::move(found_);
    }

private:
    void step() {
        const char c = script_[at_];
        if (is_space(c)) {
            ++at_;
        } else if (starts_with("--")) {
            at_ = std::min(script_.find('\n', at_), script_.size());
        } else if (starts_with("/*")) {
            skip_comment();
        } else if (c == ';' && parentheses_ == 0 && atomic_ == 0) {
            end_statement();
            ++at_;
        } else {
            begin_statement();
            take();
        }
    }

    void take() {
        const char c = script_[at_];
        if (c == '\'') {
            skip_quoted('\'', false, "a string");
        } else if (c == '"') {
            skip_quoted('"', false, "a quoted name");
        } else if (c == '$') {
            take_dollar();
        } else if (is_letter(c)) {
            take_word();
        } else if (is_digit(c)) {
            // A number, and what follows it directly: `1e5` holds no word.
            while (at_ < script_.size() && (is_letter(script_[at_]) || is_digit(script_[at_]))) ++at_;
        } else {
            if (c == '(' && parentheses_++ == 0) opened_ = at_;
            if (c == ')' && parentheses_ > 0) --parentheses_;
            ++at_;
        }
    }

    void take_word() {
        const std::size_t begin = at_;
        while (at_ < script_.size() && (is_letter(script_[at_]) || is_digit(script_[at_]) || script_[at_] == '$'))
            ++at_;
        const std::string_view word = script_.substr(begin, at_ - begin);
        if (word.size() == 1 && (word[0] == 'e' || word[0] == 'E') && at_ < script_.size() && script_[at_] == '\'') {
            do skip_quoted('\'', true, "a string");
            while (string_goes_on());
            return;
        }
        if (words_ == 0) begins_with_word_ = begin == start_;
        if (begins_with_word_ && words_ < first_words_.size()) first_words_[words_] = word;
        note(word);
        ++words_;
    }

    // `create [or replace] function|procedure` may have a body of statements between `begin atomic` and `end`.
    void note(std::string_view word) {
        if (words_ == 0) {
            creates_ = is_word(word, "create");
        } else if (creates_ && !routine_ && words_ <= 3) {
            routine_ = is_word(word, "function") || is_word(word, "procedure");
        }
        if (routine_ && parentheses_ == 0) {
            if (is_word(word, "atomic") && is_word(last_word_, "begin")) {
                ++atomic_;
            } else if (atomic_ > 0 && is_word(word, "case")) {
                ++atomic_;
            } else if (atomic_ > 0 && is_word(word, "end")) {
                --atomic_;
            }
        }
        last_word_ = word;
    }

    void take_dollar() {
        std::size_t end = at_ + 1;
        if (end < script_.size() && is_digit(script_[end])) {  // $1
            at_ = end;
            return;
        }
        while (end < script_.size() && (is_letter(script_[end]) || is_digit(script_[end]))) ++end;
        if (end >= script_.size() || script_[end] != '$') {
            ++at_;
            return;
        }
        const std::string_view tag = script_.substr(at_, end + 1 - at_);
        const std::size_t close = script_.find(tag, end + 1);
        if (close == std::string_view::npos) unfinished("a string in " + std::string(tag), at_);
        at_ = close + tag.size();
    }

    // What follows a string in a line of its own is a part of it, with the same escapes (manual, 4.1.2.1).
    [[nodiscard]] bool string_goes_on() {
        bool line_ended = false;
        std::size_t at = at_;
        while (at < script_.size() && (is_space(script_[at]) || script_.substr(at).starts_with("--"))) {
            if (script_[at] == '-') at = std::min(script_.find('\n', at), script_.size() - 1);
            line_ended = line_ended || script_[at] == '\n' || script_[at] == '\r';
            ++at;
        }
        if (!line_ended || at == script_.size() || script_[at] != '\'') return false;
        at_ = at;
        return true;
    }

    void skip_quoted(char quote, bool escapes, const char* what) {
        const std::size_t begin = at_++;
        while (at_ < script_.size()) {
            const char c = script_[at_++];
            if (c == '\\' && escapes && at_ < script_.size()) {
                ++at_;
            } else if (c == quote) {
                if (at_ == script_.size() || script_[at_] != quote) return;
                ++at_;
            }
        }
        unfinished(what, begin);
    }

    void skip_comment() {
        const std::size_t begin = at_;
        std::size_t depth = 0;
        while (at_ < script_.size()) {
            if (starts_with("/*")) {
                ++depth;
                at_ += 2;
            } else if (starts_with("*/")) {
                at_ += 2;
                if (--depth == 0) return;
            } else {
                ++at_;
            }
        }
        unfinished("a comment", begin);
    }

    void begin_statement() noexcept {
        if (!open_) start_ = at_;
        open_ = true;
    }

    void end_statement() {
        if (open_) found_.push_back({script_.substr(start_, at_ - start_), first_words_, line_of(start_)});
        open_ = creates_ = routine_ = begins_with_word_ = false;
        words_ = 0;
        first_words_ = {};
        last_word_ = {};
    }

    bool starts_with(std::string_view what) const noexcept { return script_.substr(at_).starts_with(what); }

    std::size_t line_of(std::size_t at) noexcept {
        line_ += static_cast<std::size_t>(std::count(script_.begin() + static_cast<std::ptrdiff_t>(counted_),
                                                     script_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
        counted_ = at;
        return line_;
    }

    [[noreturn]] void unfinished(const std::string& what, std::size_t at) {
        counted_ = 0;
        line_ = 1;
        throw UsageError(what + " that begins in line " + std::to_string(line_of(at)) + " of the script never ends");
    }

    std::string_view script_;
    std::vector<ScriptStatement> found_;
    std::size_t at_ = 0;
    std::size_t start_ = 0;
    std::size_t opened_ = 0;
    std::size_t counted_ = 0;
    std::size_t line_ = 1;
    std::size_t parentheses_ = 0;
    std::size_t atomic_ = 0;
    std::size_t words_ = 0;
    std::array<std::string_view, 3> first_words_;
    std::string_view last_word_;
    bool open_ = false;
    bool creates_ = false;
    bool routine_ = false;
    bool begins_with_word_ = false;
};

}  // namespace

std::vector<ScriptStatement> split_script(std::string_view script) { return Splitter(script).split(); }

bool is_word(std::string_view word, std::string_view lower) noexcept {
    return std::equal(word.begin(), word.end(), lower.begin(), lower.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

}  // namespace coaio::db::detail
