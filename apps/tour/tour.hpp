// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core.hpp>

#include <ostream>
#include <span>
#include <string_view>

/// asyncio's "Coroutines and Tasks" page, example by example, in coaio.
namespace tour {

struct Example {
    std::string_view name;
    std::string_view summary;
    coaio::Coro<> (*run)(std::ostream& out);
};

/// In the order in which a newcomer meets them.
[[nodiscard]] std::span<const Example> examples();

// tour.cpp
coaio::Coro<> hello(std::ostream& out);
coaio::Coro<> sequential(std::ostream& out);
coaio::Coro<> concurrent(std::ostream& out);
coaio::Coro<> not_awaited(std::ostream& out);
coaio::Coro<> task_state(std::ostream& out);

// futures.cpp
coaio::Coro<> ensure_future(std::ostream& out);
coaio::Coro<> future(std::ostream& out);
coaio::Coro<> display_date(std::ostream& out);

// together.cpp
coaio::Coro<> factorial(std::ostream& out);
coaio::Coro<> gather_exceptions(std::ostream& out);
coaio::Coro<> shield(std::ostream& out);
coaio::Coro<> wait_for(std::ostream& out);
coaio::Coro<> wait(std::ostream& out);
coaio::Coro<> as_completed(std::ostream& out);
coaio::Coro<> generator(std::ostream& out);

/// `HH:MM:SS` of the loop's calendar, in UTC.
[[nodiscard]] std::string clock_text();
/// `YYYY-MM-DD HH:MM:SS`, the same.
[[nodiscard]] std::string date_text();

}  // namespace tour
