// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace coaio {

enum class DumpFormat : std::uint8_t { text, json };

/// How a dump is written.
struct DumpOptions {
    DumpFormat format = DumpFormat::text;
    /// So many tasks of a loop at most; how many were left out is said.
    std::size_t limit = std::numeric_limits<std::size_t>::max();
};

/// The tree of live tasks of the running loop: for each task its name, state and age, where it was spawned, for every
/// coroutine on its stack function, file and line of the `co_await` at which it hangs, what it is in the midst of
/// (see `Activity`), and at the leaf what it waits for, until when and since when. A task that another one awaits
/// stands below it; so do, under a node of their own, the members of a gather, a shield, a `wait`, an `as_completed`
/// and of each task group that is open. In a running task the innermost line is the `co_await` it came from.
///
/// In every build, of a running program; it costs time only when it is called. Errors: `RuntimeError` when no loop runs
/// in this thread.
///
///     Task-1 waiting, age 2.0 s, created at main.cpp:20
///     |  amain at main.cpp:12
///     |  waits for gather, for 2.0 s
///     |- gather (1 of 2 pending)
///     |  |- hello waiting, age 2.0 s, created at main.cpp:10
///     |  |  |  say_after at main.cpp:5
///     |  |  |  waits for sleep, 1.0 s to go, for 2.0 s
///
/// As JSON one object on one line:
///
///     {"tasks": [NODE...], "omitted": 3}                    omitted: tasks beyond the limit, if there are any
///
/// NODE is a task, or a group of tasks in the midst of one:
///
///     {"kind": "task", "id": 1, "name": "Task-1",
///      "state": "waiting",                                  or "ready", "running", "not started"
///      "cancelling": true,                                  only if it is being cancelled
///      "age": 2.0,                                          in seconds, as all times
///      "spawned": {"function": "main", "file": "main.cpp", "line": 20},
///      "stack": [{"function": "amain", "file": "main.cpp", "line": 12}],      outermost first
///      "doing": [{"what": "query \"select 1\"", "detail": {"sql": "select 1"}}],             only if there is any
///      "wait": {"what": "sleep", "since": 2.0, "until": 1.0, "detail": {}},   only of one that waits; see `object` below
///      "children": [NODE...]}                               only if there are any
///     {"kind": "group", "what": "gather (1 of 2 pending)", "detail": {"pending": 1, "total": 2}, "children": [NODE...]}
///     {"kind": "task", "id": 1, "name": "Task-1", "elsewhere": true}         it stands whole in another place
///
/// `object`: which lock, queue, semaphore, event, condition or barrier it waits for, by its address ("0x7ffd5c1e8a40", which
/// the text has after an "at"); all who wait for the same one show the same. Others have none.
///
/// `since`: how long it has waited; `until`: how long it will, if that is known; below zero when it is late. `detail`
/// says in numbers and names what `what` says in words:
///
///     descriptor, local, peer, server_name                 a descriptor, the addresses of its ends, TLS
///     holder, holder_name, holder_age                      of a lock: the id of the task that has it, and since when
///     free, waiting                                        a semaphore's units; how many wait for the same thing
///     size, maxsize, unfinished                            a queue's items
///     come, parties                                        a barrier
///     pending, total, tasks, failed                        groups
///     in_use, limit, origin, max_size                      pools of connections
///     sql, session                                         a statement, and the process of the server that runs it
[[nodiscard]] std::string dump_tasks(DumpOptions options = {});

/// Asks for every loop of the process.
struct AllLoops {};
inline constexpr AllLoops all_loops{};

/// The same for all running loops. Other threads' loops are asked and answer on their next turn; one that does not
/// within a second is reported as busy. May be called in any thread; a loop that is not to be held up meanwhile calls
/// it by `to_thread`.
///
/// As JSON: `{"loops": [{"number": 1, "tasks": [NODE...]}, {"number": 2, "busy": true}]}`.
[[nodiscard]] std::string dump_tasks(AllLoops, DumpOptions options = {});

}  // namespace coaio
