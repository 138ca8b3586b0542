// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/net/connect.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/stream.hpp>
#include <coaio/net/tls.hpp>

#include "support/authority.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tests {

/// An authority whose certificates are as net takes them.
struct NetAuthority : Authority {
    [[nodiscard]] coaio::net::TlsIdentity issue(const std::string& names, bool expired = false) const;
};

[[nodiscard]] const NetAuthority& authority();
[[nodiscard]] coaio::net::TlsContext server_context();
[[nodiscard]] coaio::net::TlsContext client_context();

/// Two ends of one connection, of each kind.
enum class Kind { memory, tcp, local, tls_over_tcp, tls_over_memory, simulated, rough, tls_over_rough };
inline const std::vector<Kind> all_kinds{Kind::memory,          Kind::tcp,       Kind::local, Kind::tls_over_tcp,
                                         Kind::tls_over_memory, Kind::simulated, Kind::rough, Kind::tls_over_rough};
/// The seed of the simulated networks to come.
inline std::uint64_t network_seed = 1;
/// Over a simulated network, on which the virtual clock may jump; a rough one delays and chops what is sent.
[[nodiscard]] inline bool is_simulated(Kind kind) { return kind >= Kind::simulated; }
[[nodiscard]] const char* name_of(Kind kind);

struct Ends {
    Ends(coaio::net::Stream one, coaio::net::Stream other) noexcept : a(std::move(one)), b(std::move(other)) {}
    coaio::net::Stream a;  // the client's
    coaio::net::Stream b;
};
/// `capacity`: bytes on their way, through memory or a simulated network, before a write waits.
[[nodiscard]] coaio::Coro<Ends> make_ends(Kind kind, std::optional<std::size_t> capacity = std::nullopt);

/// Waits for `count` turns of the loop.
[[nodiscard]] coaio::Coro<> turns(int count);

}  // namespace tests
