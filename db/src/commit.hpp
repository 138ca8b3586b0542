// SPDX-License-Identifier: MIT
#pragma once

#include "link.hpp"

#include <coaio/db/error.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace coaio::db::detail {

/// Looks, where it has none and at most once a minute, whether the session's database has a table of commit tokens that can be relied on:
/// one that survives a crash and that the session may write to.
[[nodiscard]] Coro<> find_commit_table(Link& link);
/// Looks again before the next transaction, where a COMMIT failed by what is not there or not allowed any more.
void doubt_commit_table(Link& link, const Error& failure);

/// The row by which a transaction is recognised when the answer to its COMMIT was lost.
struct CommitToken {
    std::string table;
    std::string text;
    int pid = 0;
    std::int64_t backend_start = 0;
};

/// What is left from its first word on, without blanks, comments and semicolons.
[[nodiscard]] std::string_view skip_to_word(std::string_view sql) noexcept;

/// Takes the first word off, and gives it in small letters; empty where something else stands there.
[[nodiscard]] std::string take_word(std::string_view& sql);

/// Whether it is one that can commit what it has done so far, outside a transaction: a procedure, a block, or what builds
/// or drops concurrently.
[[nodiscard]] bool may_commit(std::string_view sql);
/// Whether such a statement, having failed so, may have been at work before.
[[nodiscard]] bool may_have_begun(const ErrorFields& failure) noexcept;
/// Whether the statement begins or ends a transaction; one that goes back to a savepoint does not.
[[nodiscard]] bool begins_or_ends_transaction(std::string_view sql);
/// Whether the statement, in a transaction, is COMMIT or PREPARE TRANSACTION by one of its names.
[[nodiscard]] bool ends_transaction(std::string_view sql);
/// Throws UsageError where it is COMMIT or ROLLBACK with AND CHAIN, after which the session is in a transaction as before.
void refuse_chain(std::string_view sql);

[[nodiscard]] CommitToken make_commit_token(const Link& link);
/// Both in one message: the token, where the transaction has written anything, and COMMIT.
[[nodiscard]] std::string commit_script(const CommitToken& token);

/// What became of the transaction, asked on a session of its own: committed, rolled back, or, when `limit` is over,
/// unknown. An answer of "rolled back" is made to stay true: the token is taken, so a late COMMIT fails.
[[nodiscard]] Coro<Outcome> resolve_commit(std::shared_ptr<Connector> connector, CommitToken token, Duration limit);

}  // namespace coaio::db::detail
