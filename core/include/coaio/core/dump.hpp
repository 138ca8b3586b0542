// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace coaio {

class Loop;

/// The tree of live tasks of the running loop as text: for each task its name, state and age, where it was spawned,
/// for every coroutine on its stack function, file and line of the `co_await` at which it hangs, and at the leaf what it
/// waits for and since when. A task that another one awaits, alone or through a gather, stands below it.
///
/// In every build, of a running program. Throws `RuntimeError` when no loop runs in this thread.
///
///     Task-1 waiting 2.0 s  created at main.cpp:20
///     |  amain at main.cpp:12
///     |  waits for Task-2, for 2.0 s
///     |- hello waiting 2.0 s  created at main.cpp:10
///     |  |  say_after at main.cpp:5
///     |  |  waits for sleep, 1.0 s to go, for 2.0 s
[[nodiscard]] std::string dump_tasks();

/// Asks for every loop of the process.
struct AllLoops {};
inline constexpr AllLoops all_loops{};

/// The same for all running loops. Other threads' loops are asked and answer on their next turn; one that does not
/// within a second is reported as busy.
[[nodiscard]] std::string dump_tasks(AllLoops);

}  // namespace coaio
