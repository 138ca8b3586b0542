// SPDX-License-Identifier: MIT
// What runs coroutines side by side or within limits, under seeds and every cut. The same worlds find the bugs of
// planted_combinator_test.cpp.
#include "core/combinator_worlds.hpp"
#include "core/scope_worlds.hpp"

#include "support/catch.hpp"

using tests::Library;
using tests::prove;

TEST_CASE("gather under seeds and every cut: no failure is missed, no child is lost") {
    prove<tests::GatherWorld<Library>>();
    prove<tests::OutcomesWorld<Library>>();
    prove<tests::RangeWorld<Library>>();
}

TEST_CASE("a task group under seeds and every cut: it outlives all its tasks") { prove<tests::GroupWorld<Library>>(); }

TEST_CASE("a task group that is ended early under seeds and every cut: nobody outlives it, no failure is lost") {
    prove<tests::EndedGroupWorld<Library>>();
}

TEST_CASE("a shield under seeds and every cut: what it shields ends by itself") {
    prove<tests::ShieldWorld<Library>>();
}

TEST_CASE("time-outs under seeds and every cut: no request to cancel is swallowed, no result lost") {
    prove<tests::TimeoutWorld<Library>>();
    prove<tests::WaitForWorld<Library>>();
}

TEST_CASE("deadlines that are moved under seeds and every cut: each strikes when it has passed, and not before") {
    prove<tests::DeadlineWorld<Library>>();
}

TEST_CASE("as_completed under seeds and every cut: everything is given, once") {
    prove<tests::CompletedWorld<Library>>();
    prove<tests::ValuesWorld<Library>>();
}

TEST_CASE("finally under seeds and every cut: each clean-up runs to its end") { prove<tests::FinallyWorld<Library>>(); }

TEST_CASE("a staggered race under seeds and every cut: one winner, nobody left behind") {
    prove<tests::RaceWorld<Library>>();
}

TEST_CASE("wait under seeds and every cut: what is waited for goes on") { prove<tests::WaitWorld<Library>>(); }

TEST_CASE("async generators under seeds and every cut: each one that is dropped gets to clean up") {
    prove<tests::GeneratorWorld<Library>>();
}

TEST_CASE("eager tasks under seeds and every cut: all of it holds for them") {
    prove<tests::EagerWorld<tests::GatherWorld<Library>>>();
    prove<tests::EagerWorld<tests::RangeWorld<Library>>>();
    prove<tests::EagerWorld<tests::GroupWorld<Library>>>();
    prove<tests::EagerWorld<tests::EndedGroupWorld<Library>>>();
    prove<tests::EagerWorld<tests::ShieldWorld<Library>>>();
    prove<tests::EagerWorld<tests::RaceWorld<Library>>>();
    prove<tests::EagerWorld<tests::WaitWorld<Library>>>();
}
