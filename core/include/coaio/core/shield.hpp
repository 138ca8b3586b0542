// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/shield_state.hpp>
#include <coaio/core/ensure_future.hpp>

#include <source_location>
#include <type_traits>
#include <utility>

namespace coaio {

/// Protects what is awaited from the cancellation of who awaits it. A bare coroutine starts at the call, as a task.
///
/// Cancellation: the shield is done when `cancel()` returns and its awaiter, a task or a gather, gets `CancelledError`;
/// the inner task goes on, and an outcome that was not yet taken over stays its own. Keep its handle to have its
/// result. If the inner task itself is cancelled, so is the shield.
/// Errors: those of the inner task. Once the shield was cancelled it takes nothing over any more, and holds no handle
/// of the inner task: if that then fails, it is reported once to the loop's exception handler when its last handle goes
/// (of a bare coroutine: when it ends), unless somebody else looked at it (`Future`).
/// Lifetime: the inner task belongs to the loop as any other; the end of `run` cancels it if it is not done by then.
///
/// The value is copied out of a named handle, which keeps it, and moved out of one that is given up.
///
///     auto saving = coaio::create_task(save(report));
///     co_await coaio::shield(saving);  // cancelled here: `saving` can still be awaited
template <Awaitable A>
[[nodiscard]] auto shield(A&& awaitable, std::source_location where = std::source_location::current()) {
    using T = detail::Held<A>;
    constexpr bool named = std::is_lvalue_reference_v<A>;
    auto inner = ensure_future(std::forward<A>(awaitable), where);
    // One that is done needs no shield, unless somebody might move the value out of what is none of his.
    constexpr bool keeps_value = named && !std::is_void_v<T> && !std::is_reference_v<T>;
    if (inner.done() && !(keeps_value && inner.state()->has_value())) return Future<T>(inner.state());
    const detail::Ref<detail::FutureBase> state(new detail::ShieldState<T, !named>(inner.state()));
    static_cast<detail::ShieldBase&>(*state).start();
    return Future<T>(state);
}

}  // namespace coaio
