// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/net/testing.hpp>

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/port.hpp>
#include <coaio/core/detail/sockets.hpp>
#include <coaio/net/address.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::net::testing {

class Connection;
class SimulatedDatagrams;
class SimulatedSocket;

/// From here on ports are given to who asks for any.
inline constexpr std::uint16_t first_free_port = 32768;

/// What becomes of a packet on its way.
enum class Fate { arrives, lost, refused, unreachable };

/// What all simulated sockets of a loop share: names and routes, chance, and what will happen when.
class World final : public coaio::detail::Sockets,
                    private coaio::detail::Runnable,
                    public std::enable_shared_from_this<World> {
public:
    World(coaio::detail::LoopCore& core, NetworkOptions options);
    ~World() override;

    [[nodiscard]] long open(int family, int type, std::unique_ptr<coaio::detail::Port>& socket) override;
    [[nodiscard]] Coro<std::vector<ResolvedAddress>> look_up(std::string host, std::string service,
                                                             ResolveOptions options) override;
    void loop_closed() noexcept override;

    // --- chance and time
    [[nodiscard]] bool chance(double rate);
    /// From 1 to `most`.
    [[nodiscard]] std::size_t draw(std::size_t most);
    /// Less than there is, now and then, when the options say so.
    [[nodiscard]] std::size_t chunk_of(std::size_t there);
    [[nodiscard]] std::int64_t now() const noexcept { return core_ != nullptr ? core_->now : 0; }
    void after(Duration delay, std::function<void()> what) { at(now() + delay.count(), std::move(what)); }
    void at(std::int64_t when, std::function<void()> what);

    // --- routes
    /// How long a packet travels where no address says more.
    [[nodiscard]] Duration way();
    [[nodiscard]] Duration trip(const Address& from, const Address& to);
    /// Of a first packet between two addresses; of a later one only whether it is lost is asked.
    [[nodiscard]] Fate fate(const Address& from, const Address& to) const;
    [[nodiscard]] bool silent(const Address& from, const Address& to) const {
        return fate(from, to) == Fate::lost || fate(to, from) == Fate::lost;
    }
    /// Its own address for a socket that has none and sends to `to`.
    [[nodiscard]] Address source_for(const Address& to);
    /// 0: none is left.
    [[nodiscard]] std::uint16_t free_port() noexcept;

    // --- who is there
    [[nodiscard]] bool exhausted();
    [[nodiscard]] bool is_bound(const SimulatedSocket& socket) const;
    [[nodiscard]] SimulatedSocket* listener_at(const Address& to);
    [[nodiscard]] SimulatedSocket* socket_of(std::uint64_t id) const;
    [[nodiscard]] std::uint64_t next_id() noexcept { return ++last_id_; }
    [[nodiscard]] SimulatedDatagrams* receiver_at(const Address& to, const Address& from);
    void note(const Address& from, const Address& to, std::string_view what);

    struct Lookup {
        std::vector<ResolvedAddress> addresses;
        std::optional<Duration> delay;
        int failure = 0;
    };
    [[nodiscard]] Lookup& lookup_of(std::string_view name);
    void set_fate(std::string_view host, std::uint16_t port, Fate fate);
    void delay(std::string_view host, Duration extra);
    void reset(std::string_view host, std::uint16_t port);
    [[nodiscard]] coaio::detail::LoopCore* core() const noexcept { return core_; }

    NetworkOptions options;
    std::size_t sockets = 0;
    std::size_t most_sockets = SIZE_MAX;
    std::string trace;
    std::vector<SimulatedSocket*> bound;
    std::vector<SimulatedDatagrams*> datagrams;
    std::vector<std::weak_ptr<Connection>> connections;

private:
    void run() noexcept override;
    void discard() noexcept override;
    void arm();
    void shuffle(std::vector<ResolvedAddress>& answers);
    [[nodiscard]] std::vector<std::string> addresses_of(std::string_view host) const;
    [[nodiscard]] Fate fate_of(const Address& address) const;

    coaio::detail::LoopCore* core_;  // null: closed
    coaio::detail::Timer timer_;
    bool running_ = false;
    std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> events_;
    std::uint64_t next_event_ = 0;
    std::mt19937_64 random_;
    std::uint16_t next_port_ = first_free_port;
    std::uint64_t last_id_ = 0;
    std::map<std::string, Lookup> names_;
    std::map<std::pair<std::string, std::uint16_t>, Fate> fates_;
    std::map<std::string, Duration> delays_;
};

/// True of 0.0.0.0 and ::.
[[nodiscard]] bool is_wildcard(const Address& address);
/// Whether a socket bound to `bound` gets what is sent to `to`.
[[nodiscard]] bool covers(const Address& bound, const Address& to, bool dual_stack);

}  // namespace coaio::net::testing
