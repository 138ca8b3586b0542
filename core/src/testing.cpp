// SPDX-License-Identifier: MIT
#include <coaio/core/testing.hpp>

#include "loop_impl.hpp"
#include "run_cleanup.hpp"

#include <cstdlib>
#include <string>

namespace coaio::testing {

TestLoop::TestLoop(Options options) {
    auto& impl = loop_.impl();
    impl.virtual_time = true;
    impl.now = 0;
    // A morning of no significance; a test that needs another sets its own.
    impl.wall_offset = std::int64_t{1'700'000'000} * 1'000'000'000;
    impl.random_seeded = true;
    impl.random.seed(options.seed.value_or(0));
    impl.shuffle = options.seed.has_value();
    impl.debug = options.debug;
}

TestLoop::~TestLoop() = default;

void TestLoop::on_turn(std::function<void(std::size_t)> hook) { loop_.impl().on_turn = std::move(hook); }

void TestLoop::fail_on_reports() {
    loop_.set_exception_handler([this](Loop&, const ExceptionContext& context) {
        if (reported_) return;
        reported_ = std::make_exception_ptr(
            Error("reported: " + context.message +
                  (context.exception ? ": " + describe_exception(context.exception) : std::string())));
    });
}

void TestLoop::drive(coaio::detail::FutureBase& future) {
    std::exception_ptr failure;
    try {
        loop_.run_until_done(future);
    } catch (...) {
        failure = std::current_exception();
    }
    try {
        coaio::detail::clean_up_after_run(loop_, Duration(std::chrono::minutes(5)));
    } catch (...) {
        // A deadlock is shown as it was found; cleaning up afterwards must not hide it.
        if (!failure) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
    if (reported_) std::rethrow_exception(std::exchange(reported_, nullptr));
}

OutsideWork::OutsideWork() : loop_(&get_running_loop()) { ++loop_->impl().outside_work; }

OutsideWork::~OutsideWork() { --loop_->impl().outside_work; }

ExploreError::ExploreError(std::uint64_t seed, std::exception_ptr cause)
    : Error("seed " + std::to_string(seed) + " failed (replay it with COAIO_SEED=" + std::to_string(seed) +
            "): " + describe_exception(cause)),
      seed_(seed),
      cause_(std::move(cause)) {}

ExploreError::~ExploreError() = default;

namespace detail {

void explore(ExploreOptions options, const std::function<void(std::uint64_t)>& once) {
    if (const char* const replay = std::getenv("COAIO_SEED")) {
        options.first = std::strtoull(replay, nullptr, 10);
        options.seeds = 1;
    } else if (const char* const seeds = std::getenv("COAIO_EXPLORE_SEEDS")) {
        options.seeds = std::strtoull(seeds, nullptr, 10);
    }
    for (std::uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
        try {
            once(seed);
        } catch (...) {
            throw ExploreError(seed, std::current_exception());
        }
    }
}

void cut(const std::function<bool(std::size_t)>& once) {
    for (std::size_t turns = 0;; ++turns) {
        bool finished = false;
        try {
            finished = once(turns);
        } catch (const std::exception& error) {
            throw Error("cut before turn " + std::to_string(turns) + ": " + error.what());
        }
        if (finished) return;
    }
}

}  // namespace detail

}  // namespace coaio::testing
