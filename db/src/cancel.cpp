// SPDX-License-Identifier: MIT
#include "cancel.hpp"

#include <coaio/core/executor.hpp>
#include <coaio/core/loop.hpp>

#include <utility>

namespace coaio::db::detail {
namespace {

ThreadPoolExecutor& threads() {
    static ThreadPoolExecutor pool(2, "coaio-db-cancel");
    return pool;
}

}  // namespace

Future<std::string> send_cancel(pq::Canceller canceller) {
    return get_running_loop().run_in_executor(threads(),
                                              [canceller = std::move(canceller)] { return canceller.cancel(); });
}

}  // namespace coaio::db::detail
