// SPDX-License-Identifier: MIT
#include <coaio/db/transaction.hpp>

#include "link.hpp"

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include <algorithm>

namespace coaio::db::detail {

using namespace std::chrono_literals;

namespace {

// A connection that was lost is had anew where the transaction is known to have had no effect.
bool worth_trying(const std::exception_ptr& failure, bool with_other_connections) {
    try {
        std::rethrow_exception(failure);
    } catch (const SerializationError& error) {
        return error.outcome() != Outcome::unknown;  // of a procedure that commits
    } catch (const ConnectionError& error) {
        return with_other_connections && error.retryable();
    } catch (...) {
        return false;
    }
}

}  // namespace

Retries::Retries(const RetryOptions& options, bool with_other_connections)
    : options_(options),
      with_other_connections_(with_other_connections),
      pause_(std::clamp<Duration>(options.pause, 1ms, 1s)),
      deadline_(deadline_in(options.deadline)) {}

Coro<bool> Retries::again(std::exception_ptr failure) {
    if (!worth_trying(failure, with_other_connections_) || ++made_ >= options_.attempts) co_return false;
    auto& loop = get_running_loop();
    const auto jitter = static_cast<Duration::rep>(loop.random() % static_cast<std::uint64_t>(pause_.count()));
    const Duration pause = pause_ / 2 + Duration(jitter);
    if (Clock::now() + pause >= deadline_) co_return false;
    co_await sleep(pause);
    pause_ = std::min<Duration>(pause_ * 2, 1s);
    co_return true;
}

}  // namespace coaio::db::detail
