// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <coaio/core/coro.hpp>
#include <coaio/db/options.hpp>
#include <coaio/db/pool.hpp>

namespace store {

/// How every session of `program` is set up: the tables stand in the schema `coaio`, whatever else the database holds, and
/// a machine that is gone leaves no lock behind for long, nor a program that stands still in a transaction.
[[nodiscard]] coaio::db::PoolOptions pool_options(std::size_t max_size, std::string program);
/// The same for a session of its own, such as one that holds locks.
[[nodiscard]] coaio::db::ConnectOptions session_options(std::string program);

/// Makes the tables, or what they lack yet; several programs may do it at the same time.
/// Errors: `coaio::db::MigrationError` where a newer version of this program was here, which alone knows what they mean.
[[nodiscard]] coaio::Coro<> create_schema(coaio::db::Pool pool);

}  // namespace store
