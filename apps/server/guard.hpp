// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <coaio/http/router.hpp>

namespace server {

/// Whether a host, without a port, is this machine as seen from itself: localhost, 127.0.0.1, ::1 and the like.
[[nodiscard]] bool is_this_machine(std::string_view host);

/// Middleware for a server that listens on loopback: below /api nobody is answered who takes it for another host, as a
/// reader's browser does for a site whose name has come to mean this machine, nor a page of another site. `public_host` is
/// a name that is right all the same, such as that of a proxy; empty: there is none.
[[nodiscard]] coaio::http::Middleware guard_api(std::string public_host);

}  // namespace server
