// SPDX-License-Identifier: MIT
#include "cancel.hpp"

#include <coaio/core/executor.hpp>
#include <coaio/core/io.hpp>
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

Coro<std::string> send_cancel_on_loop(pq::CancelRequest request, Semaphore& limit) {
    const auto turn = co_await limit.scoped();
    if (!request.start()) co_return request.error();
    pq::Progress wanted = pq::Progress::wants_write;
    while (wanted != pq::Progress::done) {
        const bool write = wanted == pq::Progress::wants_write;
        co_await io::wait_ready(request.socket(), {.readable = !write, .writable = write});
        wanted = request.poll();
        if (wanted == pq::Progress::failed) co_return request.error();
    }
    co_return std::string();
}

}  // namespace coaio::db::detail
