// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/router.hpp>

#include <cstddef>

namespace coaio::http {

/// Who may see what runs inside.
struct DebugOptions {
    /// Answer whoever asks, instead of this machine only. For servers that strangers cannot reach.
    bool anybody = false;
    /// Tasks of each loop at most.
    std::size_t limit = 10'000;
};

/// A handler that shows what the program does: the tree of live tasks of all loops, as `dump_tasks` writes it. As JSON
/// with `?format=json` or where the client's `Accept` prefers it.
///
/// Names, addresses and statements are not for strangers, so by default it answers this machine only, and others with
/// 403: the peer is a loopback address, a Unix socket or memory, no proxy has forwarded the request (`Forwarded`,
/// `X-Forwarded-For`, `X-Real-IP`, `Via`), and it names this machine as its host, which a web page that was led here by
/// its DNS server does not. A proxy on this machine that adds none of these headers, as some do by default, is not noticed:
/// leave the route out behind one, or keep it to a server of its own.
///
///     app.get("/debug/tasks", coaio::http::debug_tasks());
///
/// The loops are asked from another thread; each writes its own tasks in one step. One that is busy for longer than a
/// second is said to be.
[[nodiscard]] Handler debug_tasks(DebugOptions options = {});

}  // namespace coaio::http
