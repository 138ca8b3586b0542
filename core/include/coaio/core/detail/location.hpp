// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/place.hpp>

#include <source_location>
#include <string>

namespace coaio::detail {

/// The bare name of the function a location lies in: `Worker::run`, without return type and parameters, whichever way
/// the compiler spells a coroutine's body.
[[nodiscard]] std::string function_name(const std::source_location& location);

/// `Worker::run at src/worker.cpp:12`.
[[nodiscard]] std::string describe_location(const std::source_location& location);
[[nodiscard]] std::string describe_place(const Place& place);

}  // namespace coaio::detail
