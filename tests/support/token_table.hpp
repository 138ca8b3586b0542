// SPDX-License-Identifier: MIT
#pragma once

namespace tests {

inline constexpr const char* token_table =
    "create table coaio_commit (token uuid primary key, at timestamptz not null default now())";

}  // namespace tests
