// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include <coaio/core/coro.hpp>
#include <coaio/db/options.hpp>
#include <coaio/db/pool.hpp>

namespace server {

/// How every session of this program is set up: its tables stand in the schema `coaio`, whatever else the database holds.
[[nodiscard]] coaio::db::PoolOptions pool_options(std::size_t max_size);

/// Makes the tables that are not there yet; several servers may do it at the same time.
/// Errors: `coaio::Error` where they were made by a newer version of this program.
[[nodiscard]] coaio::Coro<> create_schema(coaio::db::Pool pool);

}  // namespace server
