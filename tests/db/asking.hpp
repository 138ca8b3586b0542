// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/pool.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

/// For tests of statements that share connections.
namespace tests {

inline constexpr const char* echo = "select $1::int";

/// Of a pool whose statements share connections, each with a Sync of its own or with those that go with it.
inline coaio::db::PoolOptions sharing(std::size_t size, bool shared_sync) {
    return coaio::db::PoolOptions().max_size(size).pipelining(32).shared_sync(shared_sync);
}

/// After this the statement is known to be quick.
inline coaio::Coro<> warm_up(coaio::db::Pool pool, std::string sql, std::optional<int> value) {
    coaio::db::Params params;
    if (value) params.add(*value);
    for (int i = 0; i < 2; ++i) co_await pool.query(sql, params);
}

inline coaio::Coro<> ask(coaio::db::Pool pool, int first, int count) {
    for (int i = first; i < first + count; ++i) {
        const int answer = co_await pool.query_value<int>(echo, i);
        REQUIRE(answer == i);
    }
}

/// The SQLSTATE that a statement fails with; empty where it does not fail.
template <class T>
coaio::Coro<std::string> state_of(coaio::Coro<T> statement) {
    try {
        static_cast<void>(co_await std::move(statement));
    } catch (const coaio::db::Error& error) {
        co_return error.sqlstate();
    }
    co_return "";
}

}  // namespace tests
