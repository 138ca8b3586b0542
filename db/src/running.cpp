// SPDX-License-Identifier: MIT
#include "running.hpp"

#include <coaio/db/observer.hpp>

#include <algorithm>

namespace coaio::db::detail {

namespace {

// Dumps show the beginning.
constexpr std::size_t longest = 8 * 1024;
constexpr std::string_view left_out = "…";

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

// Past the closing quote; two of them are one inside.
std::size_t end_of_quoted(std::string_view sql, std::size_t at, char quote, bool backslashes) {
    for (std::size_t i = at + 1; i < sql.size(); ++i) {
        if (backslashes && sql[i] == '\\') {
            ++i;
        } else if (sql[i] == quote) {
            if (i + 1 == sql.size() || sql[i + 1] != quote) return i + 1;
            ++i;
        }
    }
    return sql.size();
}

// `$tag$` at this place; empty: it is something else, such as $1.
std::string_view dollar_tag(std::string_view sql, std::size_t at) {
    if (at != 0 && is_word(sql[at - 1])) return {};
    std::size_t end = at + 1;
    while (end < sql.size() && is_word(sql[end])) ++end;
    if (end == sql.size() || sql[end] != '$') return {};
    const bool number = end > at + 1 && sql[at + 1] >= '0' && sql[at + 1] <= '9';
    return number ? std::string_view() : sql.substr(at, end + 1 - at);
}

// Comments nest in Postgres.
std::size_t end_of_comment(std::string_view sql, std::size_t at) {
    int depth = 0;
    for (std::size_t i = at; i + 1 < sql.size(); ++i) {
        const std::string_view two = sql.substr(i, 2);
        if (two == "/*") {
            ++depth;
            ++i;
        } else if (two == "*/") {
            ++i;
            if (--depth == 0) return i + 1;
        }
    }
    return sql.size();
}

}  // namespace

std::string without_literals(std::string_view sql) {
    std::string out;
    for (std::size_t at = 0; at < sql.size() && out.size() < longest;) {
        const char c = sql[at];
        const std::string_view two = sql.substr(at, 2);
        if (c == '\'') {
            const bool escape = !out.empty() && (out.back() == 'e' || out.back() == 'E') &&
                                (out.size() == 1 || !is_word(out[out.size() - 2]));
            at = end_of_quoted(sql, at, '\'', escape);
            out.append("'").append(left_out).append("'");
        } else if (c == '"') {
            const std::size_t end = end_of_quoted(sql, at, '"', false);
            out += sql.substr(at, end - at);
            at = end;
        } else if (two == "--") {
            at = std::min(sql.find('\n', at), sql.size());
        } else if (two == "/*") {
            at = end_of_comment(sql, at);
            const bool joins = !out.empty() && is_word(out.back()) && at < sql.size() && is_word(sql[at]);
            if (joins) out += ' ';
        } else if (const auto tag = c == '$' ? dollar_tag(sql, at) : std::string_view(); !tag.empty()) {
            const std::size_t end = sql.find(tag, at + tag.size());
            at = end == std::string_view::npos ? sql.size() : end + tag.size();
            out.append(tag).append(left_out).append(tag);
        } else {
            out += c;
            ++at;
        }
    }
    return out;
}

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Past a number: 1, 1.5e-10, 0xFF, 1_000.
std::size_t end_of_number(std::string_view sql, std::size_t at) {
    while (at < sql.size()) {
        const char c = sql[at];
        const bool exponent = (c == '+' || c == '-') && (sql[at - 1] == 'e' || sql[at - 1] == 'E');
        if (!is_word(c) && c != '.' && !exponent) break;
        ++at;
    }
    return at;
}

// E'…', B'…', X'…', N'…' and U&'…': the letter belongs to the literal.
void drop_prefix(std::string& out) {
    std::size_t keep = out.size();
    if (keep >= 2 && out[keep - 1] == '&' && (out[keep - 2] == 'U' || out[keep - 2] == 'u')) {
        keep -= 2;
    } else if (keep >= 1 && std::string_view("eEbBxXnN").find(out[keep - 1]) != std::string_view::npos) {
        keep -= 1;
    }
    if (keep == 0 || !is_word(out[keep - 1])) out.resize(keep);
}

}  // namespace

WaitInfo Running::describe() const {
    const std::string sql = without_literals(*sql_);
    const std::string where = pid_ == no_session ? "waits for a connection" : "session " + std::to_string(pid_);
    WaitInfo info{.what = "query \"" + shortened(sql) + "\" (" + where + ")"};
    if (count_ != 1) info.what = "batch of " + std::to_string(count_) + " statements, first " + info.what;
    info.fact("sql", shortened(sql, 1'000));
    if (pid_ != no_session) info.fact("session", static_cast<std::size_t>(pid_));
    return info;
}

}  // namespace coaio::db::detail

namespace coaio::db {

std::string normalized_sql(std::string_view sql) {
    using namespace detail;
    constexpr std::size_t most = 2'048;
    const std::string text = without_literals(sql);
    const std::string_view in = text;
    std::string out;
    for (std::size_t at = 0; at < in.size();) {
        const char c = in[at];
        const bool inside = (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;  // of a character
        if (out.size() >= most && !inside) return out + "…";
        const bool after_word = at > 0 && (is_word(in[at - 1]) || in[at - 1] == '$');
        const bool number = is_digit(c) || (c == '.' && at + 1 < in.size() && is_digit(in[at + 1]));
        if (c == '\'') {
            at = end_of_quoted(in, at, '\'', false);
            drop_prefix(out);
            out += '?';
        } else if (c == '"') {
            const std::size_t end = end_of_quoted(in, at, '"', false);
            out += in.substr(at, end - at);
            at = end;
        } else if (const auto tag = c == '$' ? dollar_tag(in, at) : std::string_view(); !tag.empty()) {
            const std::size_t end = in.find(tag, at + tag.size());
            at = end == std::string_view::npos ? in.size() : end + tag.size();
            out += '?';
        } else if (number && !after_word) {
            at = end_of_number(in, at + 1);
            out += '?';
        } else if (is_space(c)) {
            if (!out.empty() && out.back() != ' ') out += ' ';
            ++at;
        } else {
            out += c;
            ++at;
        }
    }
    if (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}  // namespace coaio::db
