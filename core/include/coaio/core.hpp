// SPDX-License-Identifier: MIT
#pragma once

/// All of coaio's core. It only includes; the headers are the reference.

#include <coaio/core/activity.hpp>
#include <coaio/core/as_completed.hpp>
#include <coaio/core/barrier.hpp>
#include <coaio/core/condition.hpp>
#include <coaio/core/context.hpp>
#include <coaio/core/coro.hpp>
#include <coaio/core/dump.hpp>
#include <coaio/core/ensure_future.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/finally.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/generator.hpp>
#include <coaio/core/handle.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/lock.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/outcome.hpp>
#include <coaio/core/queue.hpp>
#include <coaio/core/resolve.hpp>
#include <coaio/core/run.hpp>
#include <coaio/core/scope.hpp>
#include <coaio/core/semaphore.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/staggered_race.hpp>
#include <coaio/core/syscall_fault.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/threadsafe.hpp>
#include <coaio/core/time.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>
#include <coaio/core/version.hpp>
#include <coaio/core/wait.hpp>
