// SPDX-License-Identifier: MIT
#include <coaio/db/migrations.hpp>

#include "migrations_run.hpp"
#include "migrations_script.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

namespace coaio::db {
namespace {

constexpr std::string_view marker = "-- coaio: no transaction";

ErrorFields worded(const std::string& message) {
    ErrorFields fields;
    fields.message = message;
    return fields;
}

// The same file is the same step on every system.
std::string with_plain_line_ends(std::string_view text) {
    std::string plain;
    plain.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
        plain.push_back(text[i]);
    }
    return plain;
}

bool is_marked(std::string_view sql) {
    std::string_view line = sql.substr(0, sql.find('\n'));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    return line == marker;
}

bool ends_transaction(const detail::ScriptStatement& statement) {
    constexpr std::string_view words[] = {"begin", "start", "commit", "end", "abort"};
    const auto is = [&statement](std::size_t at, std::string_view word) {
        return detail::is_word(statement.words[at], word);
    };
    const auto is_first = [&is](std::string_view word) { return is(0, word); };
    if (std::any_of(std::begin(words), std::end(words), is_first)) return true;
    if (is(0, "prepare")) return is(1, "transaction");
    const std::size_t next = is(1, "work") || is(1, "transaction") ? 2 : 1;
    return is(0, "rollback") && !is(next, "to");  // rollback [work|transaction] to [savepoint] name
}

std::string read_whole(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (!file) throw UsageError("the migration " + path.string() + " cannot be read");
    return text;
}

struct FileName {
    std::int64_t version = 0;
    std::string name;
};

FileName parse_name(const std::filesystem::path& path) {
    const std::string stem = path.stem().string();
    const std::size_t digits = stem.find_first_not_of("0123456789");
    if (digits == 0 || digits == std::string::npos || digits > 18 || stem[digits] != '_' || digits + 1 == stem.size()) {
        throw UsageError("the migration " + path.string() + " is not named like 0001_users.sql");
    }
    return {std::stoll(stem.substr(0, digits)), stem.substr(digits + 1)};
}

}  // namespace

MigrationError::MigrationError(const std::string& message) : Error(worded(message)) {}
MigrationError::MigrationError(const std::string& context, const Error& cause)
    : Error([&] {
          ErrorFields fields = cause.fields();
          fields.message = context + ": " + fields.message;
          return fields;
      }()) {}
MigrationError::~MigrationError() = default;

std::string_view to_string(MigrationStep::State state) noexcept {
    switch (state) {
    case MigrationStep::State::pending: return "pending";
    case MigrationStep::State::applied: return "applied";
    case MigrationStep::State::begun: return "begun";
    case MigrationStep::State::changed: return "changed";
    case MigrationStep::State::unknown: return "unknown";
    case MigrationStep::State::overtaken: return "overtaken";
    }
    return "?";
}

Migrations::Migrations(std::string set) {
    if (set.empty()) throw UsageError("a set of migrations needs a name");
    plan_.set = std::move(set);
}

Migrations& Migrations::add(std::int64_t version, std::string name, std::string_view sql) {
    const std::string which = "migration " + std::to_string(version) + " (" + name + ")";
    if (version < 1) throw UsageError(which + ": versions begin at 1");
    if (!plan_.steps.empty() && plan_.steps.back().version >= version) {
        throw UsageError(which + " comes after migration " + std::to_string(plan_.steps.back().version) +
                         ": give them in order, each version once");
    }
    detail::MigrationText step{version, std::move(name), with_plain_line_ends(sql), true};
    step.in_transaction = !is_marked(step.sql);
    const auto statements = detail::split_script(step.sql);
    if (statements.empty()) throw UsageError(which + " holds no statement");
    if (!step.in_transaction && statements.size() > 1) {
        throw UsageError(which + " runs without a transaction, so it must be a single statement: split it");
    }
    for (const auto& statement : statements) {
        if (step.in_transaction && ends_transaction(statement)) {
            throw UsageError(which + ", line " + std::to_string(statement.line) +
                             ": a step runs in a transaction of its own and cannot begin or end one");
        }
    }
    plan_.steps.push_back(std::move(step));
    return *this;
}

Migrations& Migrations::add_folder(const std::filesystem::path& folder) {
    std::vector<std::pair<FileName, std::filesystem::path>> files;
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        if (at->path().extension() == ".sql") files.emplace_back(parse_name(at->path()), at->path());
    }
    if (error) throw UsageError("the migrations in " + folder.string() + " cannot be read: " + error.message());
    std::sort(files.begin(), files.end(),
              [](const auto& a, const auto& b) { return a.first.version < b.first.version; });
    for (auto& [name, path] : files) add(name.version, name.name, read_whole(path));
    return *this;
}

Migrations Migrations::commit_tokens() {
    Migrations migrations("coaio_commit");
    migrations.add(1, "tokens",
                   "create table if not exists coaio_commit"
                   " (token uuid primary key, at timestamptz not null default now())");
    return migrations;
}

Migrations& Migrations::schema(std::string name) {
    if (name.empty()) throw UsageError("the schema of migrations needs a name");
    plan_.schema = std::move(name);
    return *this;
}

Migrations& Migrations::patience(Duration value) {
    plan_.patience = value;
    return *this;
}

Coro<std::vector<MigrationStep>> Migrations::run(Pool pool) const {
    return detail::MigrationRun::apply(plan_, std::move(pool));
}

Coro<std::vector<MigrationStep>> Migrations::plan(Pool pool) const {
    return detail::MigrationRun::plan(plan_, std::move(pool));
}

Coro<std::vector<MigrationStep>> Migrations::status(Pool pool) const {
    return detail::MigrationRun::status(plan_, std::move(pool));
}

Coro<> Migrations::resolve(Pool pool, std::int64_t version, Resolution resolution) const {
    return detail::MigrationRun::resolve(plan_, std::move(pool), version, resolution);
}

}  // namespace coaio::db
