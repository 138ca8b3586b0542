// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/error.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/time.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::db {

/// The schema is not what the program expects, a step failed, or another program held the lock for too long. Steps that
/// were finished before stay.
class MigrationError : public Error {
public:
    explicit MigrationError(const std::string& message);
    /// The server refused a statement of a step; its state and fields are those of `cause`.
    MigrationError(const std::string& context, const Error& cause);
    ~MigrationError() override;
};

/// One step as the database and the program know it.
class MigrationStep {
public:
    enum class State : unsigned char {
        pending,   ///< not applied yet
        applied,   ///< done
        begun,     ///< a step without a transaction that was begun and not finished
        changed,   ///< applied, but its text is another one now
        unknown,   ///< the database has it, the program does not
        overtaken  ///< not applied, although a later one is
    };

    std::int64_t version = 0;
    std::string name;
    State state = State::pending;
    std::string applied_at;  ///< as the server prints it; empty where it was not
};

[[nodiscard]] std::string_view to_string(MigrationStep::State state) noexcept;

namespace detail {

struct MigrationText {
    std::int64_t version = 0;
    std::string name;
    std::string sql;
    bool in_transaction = true;
};

struct MigrationPlan {
    std::string set;
    std::string schema;
    std::vector<MigrationText> steps;
    Duration patience = std::chrono::minutes(5);
};

}  // namespace detail

/// Steps that bring a database's tables up to date, each applied once, in order, whatever number of programs start at
/// the same time.
///
/// A step is SQL, of any number of statements, and runs in a transaction of its own together with the row that says so.
/// Each begins with the search path that the pool's connections have; one that sets another, as dumps do, sets it for
/// itself.
/// What cannot run in one (`create index concurrently`) is marked by a first line `-- coaio: no transaction`; such a step
/// is a single statement, and when it was begun and its end is not known, it is reported and not repeated: look, and say
/// `resolve`.
///
/// What was applied stands in the table `coaio_migration`, by the name of the set, with a SHA-256 of the text. A step
/// that was changed after it was applied, one that the program does not have, and one that comes before an applied one
/// are refused.
///
/// Programs that start together wait for each other by polling an advisory lock, so that nobody's waiting keeps a
/// snapshot and `create index concurrently` can finish. After a run the pool's connections are replaced as they come
/// back, with all that they have prepared.
///
/// Errors: MigrationError; those of the database. Cancellation: the running step is rolled back; a run goes on from there.
///
///     static const auto schema = coaio::db::Migrations("shop")
///         .add(1, "users", "create table users (id bigint generated always as identity primary key, name text)")
///         .add(2, "index", "-- coaio: no transaction\ncreate index concurrently users_name on users (name)");
///     co_await schema.run(pool);
class Migrations {
public:
    /// The name of a set keeps the steps of a library apart from those of the program that uses it.
    explicit Migrations(std::string set = "main");

    /// Steps come in order of their versions, which begin at 1 and may leave gaps. UsageError for one that does not, for
    /// text that ends in the middle of a string or a comment, and for one that would end the step's transaction.
    Migrations& add(std::int64_t version, std::string name, std::string_view sql);
    /// Reads `0001_users.sql`, `0002_….sql`, …: the version, an underscore, the name. Other files ending in `.sql` are a
    /// UsageError, the rest is left alone. Blocks: for the start of a program.
    Migrations& add_folder(const std::filesystem::path& folder);

    /// The table by which a COMMIT whose answer was lost is found out; see `Transaction`.
    [[nodiscard]] static Migrations commit_tokens();

    /// Keeps the book in this schema, which is made if it is missing. Else it stands first in the search path.
    Migrations& schema(std::string name);
    /// How long others that migrate are waited for. 5 min.
    Migrations& patience(Duration value);

    /// Applies what is pending and gives the steps that it applied.
    [[nodiscard]] Coro<std::vector<MigrationStep>> run(Pool pool) const;
    /// Dry run: what `run` would apply, or its refusal. Writes nothing.
    [[nodiscard]] Coro<std::vector<MigrationStep>> plan(Pool pool) const;
    /// Every step, of the program and of the database, in order. Writes nothing.
    [[nodiscard]] Coro<std::vector<MigrationStep>> status(Pool pool) const;

    enum class Resolution : unsigned char {
        applied,  ///< it has done its work: do not run it again
        again     ///< its traces were removed: run it again
    };
    /// Says what became of a step that was left as `begun`.
    [[nodiscard]] Coro<> resolve(Pool pool, std::int64_t version, Resolution resolution) const;

private:
    detail::MigrationPlan plan_;
};

}  // namespace coaio::db
