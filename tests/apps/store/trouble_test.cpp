// SPDX-License-Identifier: MIT
#include "store/trouble.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/error.hpp>

#include "support/catch.hpp"

#include <exception>
#include <stdexcept>
#include <vector>

namespace {

std::exception_ptr group_of(std::exception_ptr failure) {
    const auto other = std::make_exception_ptr(std::runtime_error("another"));
    return std::make_exception_ptr(coaio::ExceptionGroup("a group", {other, std::move(failure)}));
}

}  // namespace

TEST_CASE("that too many wait for the database passes, and so does what took too long, in a group as well") {
    const auto full = std::make_exception_ptr(coaio::db::PoolFull("full"));
    CHECK(store::is_passing(full));
    CHECK(store::is_passing(group_of(full)));
    const auto late = std::make_exception_ptr(coaio::TimeoutError("late"));
    CHECK(store::is_timeout(late));
    CHECK(store::is_timeout(group_of(group_of(late))));
    CHECK_FALSE(store::is_timeout(group_of(full)));
    CHECK_FALSE(store::is_passing(group_of(std::make_exception_ptr(std::runtime_error("why")))));
}
