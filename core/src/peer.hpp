// SPDX-License-Identifier: MIT
#pragma once

namespace coaio {
struct WaitInfo;
}

namespace coaio::detail {

class Port;

/// Says in a description with whom a port is connected, or where one that listens does: in `what`, and as `peer` or
/// `local` beside `descriptor`.
void add_peer(WaitInfo& info, const Port& port);
/// The same of a descriptor of the kernel's that is somebody else's; begins with its number.
void add_peer(WaitInfo& info, int fd);

}  // namespace coaio::detail
