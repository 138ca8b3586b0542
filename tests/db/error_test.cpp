// SPDX-License-Identifier: MIT
#include <coaio/db/error.hpp>

#include "support/catch.hpp"

namespace db = coaio::db;

namespace {

db::ErrorFields fields(const std::string& state) {
    db::ErrorFields made;
    made.severity = "ERROR";
    made.sqlstate = state;
    made.message = "no";
    made.outcome = db::Outcome::rolled_back;
    return made;
}

template <class E>
bool is_a(const std::string& state) {
    try {
        db::throw_error(fields(state));
    } catch (const E&) {
        return true;
    } catch (const db::Error&) {
        return false;
    }
}

}  // namespace

TEST_CASE("ERR-02: an error has the type of its state, else of its class, else the root") {
    CHECK(is_a<db::UniqueViolation>("23505"));
    CHECK(is_a<db::ForeignKeyViolation>("23503"));
    CHECK(is_a<db::NotNullViolation>("23502"));
    CHECK(is_a<db::CheckViolation>("23514"));
    CHECK(is_a<db::IntegrityError>("23505"));
    CHECK(is_a<db::IntegrityError>("23P01"));
    CHECK_FALSE(is_a<db::UniqueViolation>("23P01"));
    CHECK(is_a<db::SerializationError>("40001"));
    CHECK(is_a<db::SerializationError>("40P01"));
    CHECK(is_a<db::QueryCanceledError>("57014"));
    CHECK_FALSE(is_a<db::IntegrityError>("42P01"));
    CHECK_FALSE(is_a<db::IntegrityError>(""));
}

TEST_CASE("a state or a class can be asked for") {
    db::Error error(fields("23505"));
    CHECK(error.is(db::sqlstate::unique_violation));
    CHECK(error.is(db::sqlstate::integrity_constraint));
    CHECK_FALSE(error.is("2"));
    CHECK_FALSE(error.is("22"));
    CHECK_FALSE(error.is(db::sqlstate::check_violation));
    CHECK_FALSE(db::Error(fields("")).is(""));
}

TEST_CASE("ERR-04: what may be run again is what cannot apply anything twice") {
    CHECK(db::Error(fields("40001")).retryable());
    CHECK(db::Error(fields("40P01")).retryable());
    CHECK(db::Error(fields("57P01")).retryable());
    CHECK_FALSE(db::Error(fields("23505")).retryable());
    CHECK_FALSE(db::Error(fields("57014")).retryable());

    auto lost = fields("08006");
    lost.outcome = db::Outcome::unknown;
    CHECK_FALSE(db::Error(lost).retryable());
    CHECK_FALSE(db::ConnectionError(lost).retryable());
    CHECK_FALSE(db::ConnectionError(lost).safe_to_retry());
    lost.outcome = db::Outcome::not_sent;
    CHECK(db::ConnectionError(lost).retryable());
    CHECK_FALSE(db::ConnectionError(fields("28P01")).retryable());
    CHECK_FALSE(db::ConnectionError(fields("3D000")).retryable());
}

TEST_CASE("a commit of unknown outcome is unknown, whatever else is said of it") {
    auto given = fields("");
    given.outcome = db::Outcome::committed;
    db::CommitUnknownError error(given);
    CHECK(error.outcome() == db::Outcome::unknown);
    CHECK_FALSE(error.connection_good());
    CHECK_FALSE(error.retryable());
    CHECK_THAT(error.what(), tests::contains("unknown"));
}

TEST_CASE("ERR-08: the text of an error shows the statement's beginning and no detail") {
    auto given = fields("23505");
    given.message = "duplicate key";
    given.detail = "Key (email)=(secret@example.com) already exists.";
    given.sql = "insert into users values ($1)";
    db::Error error(given);
    std::string text = error.what();
    CHECK_THAT(text, tests::contains("duplicate key"));
    CHECK_THAT(text, tests::contains("23505"));
    CHECK_THAT(text, tests::contains("insert into users"));
    CHECK(text.find("secret@") == std::string::npos);
    CHECK_THAT(error.detail(), tests::contains("secret@"));
}

TEST_CASE("a long statement is cut between characters") {
    CHECK(db::cut_sql("abc", 3) == "abc");
    CHECK(db::cut_sql("abcd", 3) == "abc…");
    CHECK(db::cut_sql("abé", 3) == "ab…");
    CHECK(db::cut_sql("€", 2) == "…");
    auto given = fields("42601");
    given.sql = db::cut_sql(std::string(100000, 'x'));
    CHECK(std::string(db::Error(given).what()).size() < 400);
}

TEST_CASE("ERR-04: errors before sending say so") {
    CHECK(db::ParameterError(2, "too long").outcome() == db::Outcome::not_sent);
    CHECK(std::string(db::ParameterError(2, "too long").what()) == "parameter $2: too long");
    CHECK(db::PoolClosed().outcome() == db::Outcome::not_sent);
    CHECK(db::PoolTimeout("none free", std::chrono::seconds(1)).waited() == std::chrono::seconds(1));
    CHECK(db::ConversionError("no", "a", 0).outcome() == db::Outcome::committed);
    CHECK(db::to_string(db::Outcome::rolled_back) == "rolled back");
}

TEST_CASE("every error of the module is one of coaio's") {
    CHECK_THROWS_AS(db::throw_error(fields("42601")), coaio::Error);
    CHECK_THROWS_AS(throw db::PoolFull("x"), coaio::Error);
    CHECK_THROWS_AS(throw db::UsageError("x"), db::Error);
}
