// SPDX-License-Identifier: MIT
// A test of the tests: bugs planted in copies of the library's own code (mutants.py) are found.
#include "mutants/as_completed_drops_wakeup.hpp"
#include "mutants/crossing_runs_on.hpp"
#include "mutants/finally_is_cut.hpp"
#include "mutants/gather_misses_last_failure.hpp"
#include "mutants/generator_is_left_open.hpp"
#include "mutants/group_leaves_early.hpp"
#include "mutants/race_has_two_winners.hpp"
#include "mutants/shield_forwards_cancel.hpp"
#include "mutants/timeout_swallows_cancel.hpp"
#include "mutants/wait_awaits_the_done.hpp"
#include "mutants/wait_for_drops_result.hpp"

#include "core/combinator_worlds.hpp"
#include "core/planted_support.hpp"
#include "core/scope_worlds.hpp"
#include "core/thread_worlds.hpp"

#include "support/catch.hpp"

using tests::require_cut;
using tests::require_found;

namespace {

struct MissedFailure : tests::Library {
    template <class... A>
    static auto gather(A&&... a) {
        return coaio::gather_misses_last_failure::gather(std::forward<A>(a)...);
    }
    template <class R>
    static auto gather(coaio::ReturnExceptions, R&& range) {
        namespace mutant = coaio::gather_misses_last_failure;
        return mutant::gather(mutant::return_exceptions, std::forward<R>(range));
    }
};

struct EarlyGroup : tests::Library {
    using TaskGroup = coaio::group_leaves_early::TaskGroup;
    template <class... A>
    static auto task_group(A&&... a) {
        return coaio::group_leaves_early::task_group(std::forward<A>(a)...);
    }
};

struct ForwardingShield : tests::Library {
    template <class... A>
    static auto shield(A&&... a) {
        return coaio::shield_forwards_cancel::shield(std::forward<A>(a)...);
    }
};

struct SwallowingTimeout : tests::Library {
    using Timeout = coaio::timeout_swallows_cancel::Timeout;
    template <class... A>
    static auto timeout(A&&... a) {
        return coaio::timeout_swallows_cancel::timeout(std::forward<A>(a)...);
    }
    template <class... A>
    static auto timeout_at(A&&... a) {
        return coaio::timeout_swallows_cancel::timeout_at(std::forward<A>(a)...);
    }
};

struct LosingWaitFor : tests::Library {
    template <class... A>
    static auto wait_for(A&&... a) {
        return coaio::wait_for_drops_result::wait_for(std::forward<A>(a)...);
    }
};

struct LosingCompletion : tests::Library {
    template <class H>
    using AsCompleted = coaio::as_completed_drops_wakeup::AsCompleted<H>;
    template <class... A>
    static auto as_completed(A&&... a) {
        return coaio::as_completed_drops_wakeup::as_completed(std::forward<A>(a)...);
    }
};

struct CutFinally : tests::Library {
    template <class... A>
    static auto finally(A&&... a) {
        return coaio::finally_is_cut::finally(std::forward<A>(a)...);
    }
};

struct EndlessWait : tests::Library {
    template <class R>
    static auto wait(R&& tasks, coaio::ReturnWhen when = coaio::ALL_COMPLETED,
                     std::optional<coaio::Duration> timeout = std::nullopt) {
        namespace mutant = coaio::wait_awaits_the_done;
        return mutant::wait(std::forward<R>(tasks), static_cast<mutant::ReturnWhen>(when), timeout);
    }
};

struct OpenGenerator : tests::Library {
    template <class T>
    using AsyncGenerator = coaio::generator_is_left_open::AsyncGenerator<T>;
};

struct StubbornCrossing : tests::Library {
    template <class T>
    static auto run_coroutine_threadsafe(coaio::Coro<T> coro, coaio::Loop& loop) {
        return coaio::crossing_runs_on::run_coroutine_threadsafe(std::move(coro), loop);
    }
    template <class F>
    static auto wrap_future(const F& future) {
        return coaio::crossing_runs_on::wrap_future(future);
    }
};

struct RaceOfTwo : tests::Library {
    template <class... A>
    static auto staggered_race(A&&... a) {
        return coaio::race_has_two_winners::staggered_race(std::forward<A>(a)...);
    }
};

}  // namespace

TEST_CASE("planted: a gather that misses the failure of the child that ends last is found") {
    require_found<tests::GatherWorld<MissedFailure>>();
    require_found<tests::RangeWorld<MissedFailure>>();
    require_found<tests::EagerWorld<tests::GatherWorld<MissedFailure>>>();
}

TEST_CASE("planted: a task group that is left before its last task ends is found") {
    require_found<tests::GroupWorld<EarlyGroup>>();
    require_cut<tests::GroupWorld<EarlyGroup>>();
    require_found<tests::EndedGroupWorld<EarlyGroup>>();
}

TEST_CASE("planted: a shield that passes the cancellation on is found") {
    require_found<tests::ShieldWorld<ForwardingShield>>();
    require_cut<tests::ShieldWorld<ForwardingShield>>();
}

TEST_CASE("planted: a timeout that takes another's cancellation for its own is found") {
    require_found<tests::TimeoutWorld<SwallowingTimeout>>();
    require_found<tests::DeadlineWorld<SwallowingTimeout>>();
}

TEST_CASE("planted: a wait_for that loses a result which came with the deadline is found") {
    require_found<tests::WaitForWorld<LosingWaitFor>>();
}

TEST_CASE("planted: an as_completed that loses the wake-up of a cancelled reader is found") {
    require_found<tests::CompletedWorld<LosingCompletion>>();
    require_found<tests::ValuesWorld<LosingCompletion>>();
}

TEST_CASE("planted: a finally whose clean-up can be cancelled is found") {
    require_found<tests::FinallyWorld<CutFinally>>();
    require_cut<tests::FinallyWorld<CutFinally>>();
}

TEST_CASE("planted: a race that one entrant wins after another is found") {
    require_found<tests::RaceWorld<RaceOfTwo>>();
}

TEST_CASE("planted: a wait for tasks of which one is done that never ends is found") {
    require_found<tests::WaitWorld<EndlessWait>>();
}

TEST_CASE("planted: an aclose that does not wait for the clean-up is found") {
    require_found<tests::GeneratorWorld<OpenGenerator>>();
}

TEST_CASE("planted: a call from another thread that nobody wants and that runs on is found", "[threads]") {
    require_found<tests::HandOverWorld<StubbornCrossing>>();
}
