// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core.hpp>

#include <span>

namespace bench {

struct Bench {
    const char* name;
    coaio::Coro<> (*run)(long n);
};

/// The measured part starts here: what came before, such as connecting, does not count.
void begin() noexcept;

/// Those that need a Postgres: PGHOST, PGPORT, PGUSER and PGDATABASE say where it is.
[[nodiscard]] std::span<const Bench> database_benches();

}  // namespace bench
