#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the planted bugs: copies of the library's own sources with one change each, as headers for planted_*_test.cpp.

    mutants.py CORE OUTPUT    the folder of the module, and where mutants/NAME.hpp go; prints the files that it read

A copy stands in a namespace coaio::NAME, and uses the library for all that it does not bring itself. It fails when the
text to be changed is no longer there exactly once: then the library has changed, and the bug has to be planted anew.
When the linker misses something of a copy, that is now defined in another source: add it to the copy's list.
"""
import pathlib
import re
import sys

INCLUDE = "include/coaio/core"
LOCK = [f"{INCLUDE}/lock.hpp", "src/lock.cpp"]
SEMAPHORE = [f"{INCLUDE}/semaphore.hpp", "src/semaphore.cpp"]
# These two know each other.
CONDITION = [f"{INCLUDE}/condition.hpp", f"{INCLUDE}/barrier.hpp", "src/condition.cpp", "src/barrier.cpp"]
EVENT = [f"{INCLUDE}/event.hpp", "src/event.cpp"]
QUEUE = [f"{INCLUDE}/detail/queue_store.hpp", f"{INCLUDE}/detail/queue_base.hpp", f"{INCLUDE}/queue.hpp", "src/queue.cpp"]
GATHER = [f"{INCLUDE}/detail/gather_state.hpp", f"{INCLUDE}/gather.hpp", "src/gather.cpp"]
SHIELD = [f"{INCLUDE}/detail/shield_state.hpp", f"{INCLUDE}/shield.hpp", "src/shield.cpp"]
TIMEOUT = [f"{INCLUDE}/timeout.hpp", "src/timeout.cpp"]
TASK_GROUP = [f"{INCLUDE}/task_group.hpp", "src/task_group.cpp"]
AS_COMPLETED = [f"{INCLUDE}/as_completed.hpp", "src/wait.cpp"]
FINALLY = [f"{INCLUDE}/finally.hpp"]
RACE = [f"{INCLUDE}/staggered_race.hpp"]
WAIT = [f"{INCLUDE}/wait.hpp", f"{INCLUDE}/as_completed.hpp", "src/wait.cpp"]
GENERATOR = [f"{INCLUDE}/generator.hpp"]
THREADSAFE = [f"{INCLUDE}/threadsafe.hpp", "src/threadsafe.cpp"]

# Functions of coaio::detail that a copy brings along and that a call would find twice, through its arguments.
OWN = re.compile(r"\b(child_value|child_outcome|gather_element|cancel_and_wait)\b")

# name: sources, what stands there, what the mutant has in its place
MUTANTS = {
    "lock_drops_turn": (LOCK, "    leave();\n    if (!lock_->locked_) lock_->wake_first();\n", "    leave();\n"),
    "lock_lets_in_two": (LOCK, "if (locked_ || live_ != 0) return false;", "if (locked_) return false;"),
    "semaphore_drops_turn": (SEMAPHORE, "    ++semaphore_->value_;\n    semaphore_->wake_allowed();\n",
                             "    ++semaphore_->value_;\n"),
    "semaphore_wakes_two": (SEMAPHORE, "        --value_;\n        woken_.push_back", "        woken_.push_back"),
    "condition_drops_notification": (CONDITION, "        wake(1);\n        std::rethrow", "        std::rethrow"),
    "event_is_missed": (EVENT, "const noexcept { return event_->set_; }", "const noexcept { return false; }"),
    "barrier_breaks_by_half": (CONDITION, "    state_ = State::broken;\n    changed_.notify_all();",
                               "    state_ = State::broken;\n    changed_.notify();"),
    "queue_drops_item": (QUEUE, "&& !queue_->getters_.empty()) queue_->wake_getter();\n",
                         "&& !queue_->getters_.empty()) return;\n"),
    "queue_drops_place": (QUEUE, "    --queue_->reserved_;\n    queue_->pass_place_on();\n", "    --queue_->reserved_;\n"),
    "queue_wakes_one_at_shutdown": (QUEUE, "    while (!getters_.empty()) wake_getter();",
                                    "    if (!getters_.empty()) wake_getter();"),
    "queue_wakes_one_joiner": (QUEUE, "if (--unfinished_ == 0) joiners_.wake_all();",
                               "if (--unfinished_ == 0 && !joiners_.empty()) joiners_.wake_front();"),
    "gather_misses_last_failure": (GATHER, "child.status() != FutureStatus::finished;",
                                   "child.status() != FutureStatus::finished && left_ != 0;"),
    "shield_forwards_cancel": (SHIELD, "if (!FutureBase::cancel(message)) return false;",
                               "if (!inner_->cancel(message) || !FutureBase::cancel(message)) return false;"),
    "timeout_swallows_cancel": (TIMEOUT, "return task_->uncancel(*level_) <= requests_at_entry_;",
                                "return task_->uncancel(*level_) <= requests_at_entry_ + 1;"),
    "wait_for_drops_result": (TIMEOUT, "co_await std::forward<A>(awaitable);\n            scope.leave();\n"
                              "            co_return result;",
                              "co_await std::forward<A>(awaitable);\n            if (scope.expired()) throw TimeoutError();\n"
                              "            scope.leave();\n            co_return result;"),
    "group_leaves_early": (TASK_GROUP, "while (!state.tasks.empty()) {", "if (!state.tasks.empty()) {"),
    "as_completed_drops_wakeup": (AS_COMPLETED, "!state.finished.empty()) state.wake_one();", "!state.finished.empty()) {}"),
    "finally_is_cut": (FINALLY, "co_await masked(std::move(cleanup), options);",
                       "static_cast<void>(options);\n    co_await start_body(cleanup, scope);"),
    "wait_awaits_the_done": (WAIT, "pending += each->done() ? 0 : 1;", "++pending;"),
    "generator_is_left_open": (GENERATOR, "detail::GeneratorClosing(generator());", "detail::GeneratorClosing(nullptr);"),
    "crossing_runs_on": (THREADSAFE, "if (crossing_ != nullptr) static_cast<void>(crossing_->cancel(crossing_));", ""),
    "race_has_two_winners": (RACE, "if (race.result.winner) {", "if (race.result.winner == index) {"),
}


def mutate(core, name, sources, old, new):
    texts = [(source, (core / source).read_text()) for source in sources]
    count = sum(text.count(old) for _, text in texts)
    if count != 1:
        sys.exit(f"mutants.py: {name}: what is to be changed stands {count} times in {' '.join(sources)}: {old!r}\n"
                 "The library has changed there: plant the bug anew, in tests/core/mutants.py.")
    includes, bodies = [], []
    for source, text in texts:
        includes += re.findall(r"^#include .*$", text, re.M)
        body = re.sub(r"^(#include|#pragma) .*\n", "", text.replace(old, new), flags=re.M)
        body = re.sub(r"^namespace coaio(::detail)? \{", rf"namespace coaio::{name}\1 {{", body, flags=re.M)
        body = re.sub(r"^template <>\ninline constexpr bool enable_scope<(\w+)> = true;",
                      rf"}}\ntemplate <>\ninline constexpr bool coaio::enable_scope<coaio::{name}::\1> = true;\n"
                      rf"namespace coaio::{name} {{", body, flags=re.M)
        body = re.sub(r"std::coroutine_traits<coaio::(\w+)<T>, Args...> : coaio::detail::",
                      rf"std::coroutine_traits<coaio::{name}::\1<T>, Args...> : coaio::{name}::detail::", body)
        bodies.append(f"// {source}\n" + OWN.sub(rf"\1_of_{name}", body))
    # The library's own headers have been warned about where they belong.
    return ("#pragma once\n#pragma GCC system_header\n\n" + "\n".join(sorted(set(includes))) +
            f"\n\nnamespace coaio::{name}::detail {{\nusing namespace coaio::detail;\n}}\n\n" + "\n".join(bodies))


def main():
    core, output = map(pathlib.Path, sys.argv[1:])
    (output / "mutants").mkdir(parents=True, exist_ok=True)
    for name, (sources, old, new) in MUTANTS.items():
        text = mutate(core, name, sources, old, new)
        target = output / "mutants" / f"{name}.hpp"
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    print(";".join(sorted({str(core / source) for sources, _, _ in MUTANTS.values() for source in sources})))


if __name__ == "__main__":
    main()
