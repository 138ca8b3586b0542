// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/time.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/values.hpp>

// Which crawl a program has: the newest like it that is open, or a new one.
namespace store {

/// Another process runs the crawl.
class HeldElsewhere final : public coaio::Error {
public:
    using Error::Error;
};

/// The crawl that is looked for.
struct Wanted {
    std::vector<std::string> urls;
    coaio::db::Json settings;
    bool fresh = false;  // gives up the others like it
};

/// What was found.
struct Claimed {
    std::int64_t id = 0;
    bool resumed = false;
};

/// "crawl 7"
[[nodiscard]] std::string named(std::int64_t crawl);

/// Tries for so long to take the crawl's lock: a session of a process that has just died may live a little longer.
[[nodiscard]] coaio::Coro<bool> hold_within(const coaio::db::Connection& session, std::int64_t crawl,
                                            coaio::Duration limit);

/// The session that has the crawl's lock, in words.
[[nodiscard]] coaio::Coro<std::string> describe_holder(const coaio::db::Connection& session, std::int64_t crawl);

/// The crawl is `running` then, and the session holds its lock.
/// Errors: `HeldElsewhere` where another process runs it, and did not let go of it within `lock_wait`.
[[nodiscard]] coaio::Coro<Claimed> find_or_make(const coaio::db::Connection& session, const Wanted& wanted,
                                                coaio::Duration lock_wait);

}  // namespace store
