// SPDX-License-Identifier: MIT
#pragma once

#include "server/options.hpp"

namespace server {

/// The whole program but for its options: brings up the database if need be, serves, runs crawls, and stops in order
/// when it is asked to. Gives the exit code.
[[nodiscard]] int run_service(Options options);

}  // namespace server
