// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/dump.hpp>

#include <string>

namespace coaio {
class Loop;
}

namespace coaio::detail {

/// The loops that run in this process now, for dumps across threads.
void register_loop(Loop& loop);
void unregister_loop(Loop& loop) noexcept;
[[nodiscard]] std::string dump_every_loop(DumpOptions options);

}  // namespace coaio::detail
