// SPDX-License-Identifier: MIT
#include "store/trouble.hpp"

#include <chrono>
#include <utility>

#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/error.hpp>

#include "crawler/summary.hpp"

namespace store {
namespace {

using namespace std::chrono_literals;

constexpr auto try_again = 250ms;

}  // namespace

DatabaseAway::~DatabaseAway() = default;

bool is_timeout(const std::exception_ptr& failure) { return holds<coaio::TimeoutError>(failure); }

bool is_passing(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const coaio::ExceptionGroup& group) {
        for (const std::exception_ptr& each : group.exceptions()) {
            if (is_passing(each)) return true;
        }
        return false;
    } catch (const coaio::db::ConnectionError&) {
        return true;
    } catch (const coaio::db::PoolTimeout&) {
        return true;
    } catch (const coaio::db::PoolFull&) {
        return true;
    } catch (const coaio::db::Error& error) {
        return error.retryable();
    } catch (...) {
        return false;
    }
}

std::string reason_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const coaio::ExceptionGroup& group) {
        return reason_of(group.exceptions().front());
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an unknown error";
    }
}

coaio::Coro<> Patience::after(std::exception_ptr failure) {
    if (!is_passing(failure) && !is_timeout(failure)) std::rethrow_exception(failure);
    const auto now = coaio::Clock::now();
    const std::string limit = crawl::human_time(std::chrono::duration_cast<std::chrono::milliseconds>(limit_));
    if (!since_) {
        since_ = now;
        if (say_) {
            say_(trouble_ + ", for at most " + limit +
                 " it is tried again: " + crawl::one_line(reason_of(failure), 300));
        }
    }
    if (now - *since_ >= limit_) {
        throw DatabaseAway("the database has been away for " + limit +
                           "; what was committed is kept, and the same command goes on from there. The last error: " +
                           crawl::one_line(reason_of(failure), 300));
    }
    co_await coaio::sleep(try_again);
}

void Patience::succeeded() {
    if (since_ && say_) say_(relief_);
    since_.reset();
}

}  // namespace store
