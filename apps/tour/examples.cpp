// SPDX-License-Identifier: MIT
#include "tour.hpp"

#include <array>

namespace tour {

std::span<const Example> examples() {
    static constexpr std::array all{
        Example{"hello", "hello, one second, world", hello},
        Example{"sequential", "two coroutines one after the other: 3 s", sequential},
        Example{"concurrent", "the same as tasks: 2 s", concurrent},
        Example{"not-awaited", "a coroutine that is not awaited does nothing", not_awaited},
        Example{"task-state", "a task before and after it ran", task_state},
        Example{"ensure-future", "a future for anything awaitable", ensure_future},
        Example{"future", "a Future awaited beside a coroutine, and one from a thread", future},
        Example{"display-date", "the date each second for five seconds", display_date},
        Example{"factorial", "gather of three", factorial},
        Example{"gather-exceptions", "outcomes instead of the first failure", gather_exceptions},
        Example{"shield", "a cancelled caller, a finished save", shield},
        Example{"wait-for", "eternity, for one second", wait_for},
        Example{"wait", "the first one done, then the others", wait},
        Example{"as-completed", "results in the order in which they come", as_completed},
        Example{"generator", "co_yield in, next() out", generator},
    };
    return all;
}

}  // namespace tour
