// SPDX-License-Identifier: MIT
#pragma once

#include "sim_world.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace coaio::net::testing {

/// A TCP connection: two ends, 0 that of the client, and what is on its way between them.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(World& world, const Address& client, const Address& server) noexcept
        : world_(&world), ends_{End(client), End(server)} {}

    [[nodiscard]] const Address& address(std::size_t side) const noexcept { return ends_[side].address; }
    /// Each gives what the system call gives.
    [[nodiscard]] long read(std::size_t side, std::span<std::byte> into);
    [[nodiscard]] long write(std::size_t side, std::span<const coaio::detail::ConstBuffer> buffers);
    [[nodiscard]] long shutdown_write(std::size_t side);
    void attach(std::size_t side, SimulatedSocket& socket) noexcept { ends_[side].socket = &socket; }
    void close(std::size_t side, bool abort);

    /// What is sent from `side` from now on arrives no earlier than this.
    void not_before(std::size_t side, std::int64_t when) noexcept { ends_[1 - side].not_before = when; }
    /// Both ends find it reset.
    void reset_now();
    /// What was held by a silent host goes on.
    void go_on();

private:
    struct End {
        explicit End(const Address& own) noexcept : address(own) {}
        Address address;
        SimulatedSocket* socket = nullptr;  // null: not accepted yet, or closed
        std::string incoming;
        std::size_t taken = 0;       // of incoming
        std::size_t on_the_way = 0;  // bytes sent to it
        std::int64_t not_before = 0;
        bool ended = false;  // the other end writes no more
        bool shut = false;   // it writes no more
        bool closed = false;
        bool dead = false;
        bool given_up = false;  // it was not answered for too long
        int error = 0;          // told once
        [[nodiscard]] std::size_t unread() const noexcept { return incoming.size() - taken; }
        void wake() noexcept;
    };
    struct Packet {
        enum class Kind : std::uint8_t { data, end, reset };
        Packet(Kind what, std::size_t whom) noexcept : kind(what), to(whom) {}
        Kind kind;
        std::size_t to;
        std::string bytes;
    };

    void send(Packet packet);
    void arrive(Packet packet);
    void take(Packet packet);
    void hold(Packet packet);
    void give_up_on(std::size_t sender);
    void die(std::size_t side, int error);

    World* world_;
    std::array<End, 2> ends_;
    std::deque<Packet> held_;
    std::uint64_t holds_ = 0;  // grows when what was held goes on
};

/// A TCP socket: first nothing, then a listener or one end of a connection.
class SimulatedSocket final : public coaio::detail::Port {
public:
    explicit SimulatedSocket(std::shared_ptr<World> world);
    SimulatedSocket(std::shared_ptr<World> world, std::shared_ptr<Connection> accepted);
    ~SimulatedSocket() override;

    [[nodiscard]] long read(std::span<std::byte> buffer) noexcept override;
    [[nodiscard]] long write(std::span<const coaio::detail::ConstBuffer> buffers) noexcept override;
    [[nodiscard]] long accept(std::unique_ptr<coaio::detail::Port>& accepted) noexcept override;
    [[nodiscard]] long finish_connect() noexcept override;
    [[nodiscard]] long shutdown_write() noexcept override;
    void spoil() noexcept override { spoilt_ = true; }
    [[nodiscard]] long bind(std::span<const std::byte> address) noexcept override;
    [[nodiscard]] long listen(int backlog) noexcept override;
    [[nodiscard]] long connect(std::span<const std::byte> address) noexcept override;
    [[nodiscard]] long set_option(int level, int name, std::span<const std::byte> value) noexcept override;
    [[nodiscard]] long name_of(End end, std::span<std::byte> into) const noexcept override;
    [[nodiscard]] std::string describe() const override;

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] bool is_listening() const noexcept { return listening_; }
    [[nodiscard]] const Address& own() const noexcept { return own_; }
    [[nodiscard]] bool shares_port() const noexcept { return reuse_port_; }
    [[nodiscard]] bool dual_stack() const noexcept { return dual_stack_; }
    /// For a listener: room for one more that is not accepted yet.
    [[nodiscard]] bool reserve() noexcept;
    void hand_over(std::shared_ptr<Connection> connection);
    void give_back() noexcept { --promised_; }

private:
    /// A connection attempt; outlives its socket when that is closed meanwhile.
    struct Attempt {
        SimulatedSocket* socket = nullptr;
        Address from;
        Address to;
        std::int64_t deadline = 0;
        Duration retry{};
    };
    static void knock(World& world, const std::shared_ptr<Attempt>& attempt);
    static void arrive(World& world, const std::shared_ptr<Attempt>& attempt);
    static void fail(World& world, const std::shared_ptr<Attempt>& attempt, int error);
    static void settle(const std::shared_ptr<World>& world, const std::shared_ptr<Attempt>& attempt,
                       const std::shared_ptr<Connection>& connection, std::uint64_t listener, bool answered);

    std::shared_ptr<World> world_;
    std::uint64_t id_;
    std::shared_ptr<Connection> connection_;
    std::size_t side_ = 0;
    std::shared_ptr<Attempt> attempt_;
    int failure_ = 0;  // of the attempt
    Address own_;
    bool listening_ = false;
    bool reuse_port_ = false;
    bool dual_stack_ = true;
    bool spoilt_ = false;
    std::size_t backlog_ = 0;
    std::size_t promised_ = 0;
    std::deque<std::shared_ptr<Connection>> waiting_;
};

/// Copies an address to where the kernel would; gives its size.
[[nodiscard]] long write_name(const Address& address, std::span<std::byte> into) noexcept;

}  // namespace coaio::net::testing
