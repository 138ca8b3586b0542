// SPDX-License-Identifier: MIT
#pragma once

#include "sim_world.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>

namespace coaio::net::testing {

/// A UDP socket.
class SimulatedDatagrams final : public coaio::detail::Port {
public:
    SimulatedDatagrams(std::shared_ptr<World> world, bool six);
    ~SimulatedDatagrams() override;

    [[nodiscard]] long send_to(std::span<const coaio::detail::ConstBuffer> buffers,
                               std::span<const std::byte> to) noexcept override;
    [[nodiscard]] long receive_from(std::span<std::byte> buffer, std::span<std::byte>& from) noexcept override;
    [[nodiscard]] long bind(std::span<const std::byte> address) noexcept override;
    [[nodiscard]] long connect(std::span<const std::byte> address) noexcept override;
    [[nodiscard]] long set_option(int level, int name, std::span<const std::byte> value) noexcept override;
    [[nodiscard]] long name_of(End end, std::span<std::byte> into) const noexcept override;
    [[nodiscard]] std::string describe() const override;

    [[nodiscard]] bool has_port(std::uint16_t port) const noexcept;
    /// How well it fits a datagram; 0: it does not take it. The best gets it: a connected one, then one at that address.
    [[nodiscard]] int closeness(const Address& to, const Address& from) const;

private:
    struct Datagram {
        Datagram(const Address& sender, std::string text) : from(sender), bytes(std::move(text)) {}
        Address from;
        std::string bytes;
    };
    static void arrive(World& world, const Address& from, const Address& to, const std::string& bytes);

    std::shared_ptr<World> world_;
    Address own_;
    Address peer_;
    bool six_;
    bool dual_stack_ = true;
    bool reuse_ = false;
    int error_ = 0;
    std::deque<Datagram> incoming_;
    std::size_t size_ = 0;
};

}  // namespace coaio::net::testing
