// SPDX-License-Identifier: MIT
#include "sim_datagrams.hpp"

#include "sim_socket.hpp"

#include <coaio/core/detail/sys.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace coaio::net::testing {

namespace {

namespace sys = coaio::detail::sys;
using coaio::testing::Syscall;

constexpr std::size_t largest = 65'507;  // of UDP over IPv4

}  // namespace

SimulatedDatagrams::SimulatedDatagrams(std::shared_ptr<World> world, bool six)
    : Port(*world->core(), nullptr), world_(std::move(world)), six_(six) {
    ++world_->sockets;
    world_->datagrams.push_back(this);
}

SimulatedDatagrams::~SimulatedDatagrams() {
    close_sides();
    --world_->sockets;
    std::erase(world_->datagrams, this);
}

long SimulatedDatagrams::set_option(int level, int name, std::span<const std::byte> value) noexcept {
    if (const int error = sys::fault(Syscall::setsockopt)) return -error;
    const bool group = name == (level == IPPROTO_IPV6 ? IPV6_JOIN_GROUP : IP_ADD_MEMBERSHIP);
    if (level != SOL_SOCKET && group) return -EOPNOTSUPP;
    int number = 0;
    std::memcpy(&number, value.data(), std::min(value.size(), sizeof number));
    if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT)) reuse_ = number != 0;
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) dual_stack_ = number == 0;
    return 0;
}

long SimulatedDatagrams::bind(std::span<const std::byte> address) noexcept {
    if (const int error = sys::fault(Syscall::bind)) return -error;
    Address wanted = Address::from_bytes(address);
    if (own_.family() != Address::Family::none) return -EINVAL;
    if (wanted.port() == 0) wanted = Address::ip(wanted.host(), world_->free_port());
    if (wanted.port() == 0) return -EADDRINUSE;
    for (const SimulatedDatagrams* const other : world_->datagrams) {
        if (other->own_.family() == Address::Family::none || (other->reuse_ && reuse_)) continue;
        if (covers(other->own_, wanted, other->dual_stack_) || covers(wanted, other->own_, dual_stack_)) {
            return -EADDRINUSE;
        }
    }
    own_ = wanted;
    return 0;
}

long SimulatedDatagrams::connect(std::span<const std::byte> address) noexcept {
    if (const int error = sys::fault(Syscall::connect)) return -error;
    peer_ = Address::from_bytes(address);
    if (own_.family() == Address::Family::none) {
        own_ = world_->source_for(peer_);
    } else if (is_wildcard(own_)) {
        own_ = Address::ip(world_->source_for(peer_).host(), own_.port());
    }
    return 0;
}

long SimulatedDatagrams::name_of(End end, std::span<std::byte> into) const noexcept {
    const Address& address = end == End::own ? own_ : peer_;
    if (address.family() != Address::Family::none) return write_name(address, into);
    return end == End::peer ? -ENOTCONN : write_name(Address::ip(six_ ? "::" : "0.0.0.0", 0), into);
}

std::string SimulatedDatagrams::describe() const {
    const bool bound = own_.family() != Address::Family::none;
    return "a simulated UDP socket" + (bound ? " at " + own_.text() : std::string());
}

bool SimulatedDatagrams::has_port(std::uint16_t port) const noexcept {
    return own_.family() != Address::Family::none && own_.port() == port;
}

int SimulatedDatagrams::closeness(const Address& to, const Address& from) const {
    if (own_.family() == Address::Family::none || !covers(own_, to, dual_stack_)) return 0;
    const bool connected = peer_.family() != Address::Family::none;
    if (connected && peer_ != from) return 0;
    return 1 + (own_ == to ? 1 : 0) + (connected ? 2 : 0);
}

long SimulatedDatagrams::send_to(std::span<const coaio::detail::ConstBuffer> buffers,
                                 std::span<const std::byte> to) noexcept {
    if (const int error = sys::fault(Syscall::write)) return -error;
    if (error_ != 0) return -std::exchange(error_, 0);
    const Address whom = to.empty() ? peer_ : Address::from_bytes(to);
    if (whom.family() == Address::Family::none) return -EDESTADDRREQ;
    std::string bytes;
    for (const auto& each : buffers) bytes.append(static_cast<const char*>(each.data), each.size);
    if (bytes.size() > largest) return -EMSGSIZE;
    if (own_.family() == Address::Family::none) own_ = Address::ip(six_ ? "::" : "0.0.0.0", world_->free_port());
    const Address from = is_wildcard(own_) ? Address::ip(world_->source_for(whom).host(), own_.port()) : own_;
    const auto count = static_cast<long>(bytes.size());
    if (world_->chance(world_->options.loss_rate)) {
        world_->note(from, whom, "datagram lost");
        return count;
    }
    // A later one may overtake it.
    world_->after(world_->trip(from, whom),
                  [&world = *world_, from, whom, bytes = std::move(bytes)] { arrive(world, from, whom, bytes); });
    return count;
}

void SimulatedDatagrams::arrive(World& world, const Address& from, const Address& to, const std::string& bytes) {
    const Fate fate = world.fate(from, to);
    SimulatedDatagrams* const receiver = fate == Fate::arrives ? world.receiver_at(to, from) : nullptr;
    if (receiver != nullptr) {
        const bool room = receiver->size_ + bytes.size() <= world.options.buffer;
        world.note(from, to, (room ? "datagram " : "datagram dropped: no room, ") + std::to_string(bytes.size()));
        if (!room) return;
        receiver->size_ += bytes.size();
        receiver->incoming_.emplace_back(from, bytes);
        receiver->in.signal();
        return;
    }
    world.note(from, to, "datagram to nobody");
    if (fate == Fate::lost) return;
    // Word comes back, but only a connected socket hears of it.
    world.after(world.trip(to, from), [&world, from, to, fate] {
        for (SimulatedDatagrams* const each : world.datagrams) {
            if (each->own_ != from || each->peer_ != to) continue;
            each->error_ = fate == Fate::unreachable ? EHOSTUNREACH : ECONNREFUSED;
            each->in.signal();
            each->out.signal();
        }
    });
}

long SimulatedDatagrams::receive_from(std::span<std::byte> buffer, std::span<std::byte>& from) noexcept {
    const auto room = std::exchange(from, from.first(0));
    if (const int error = sys::fault(Syscall::read)) return -error;
    if (error_ != 0) return -std::exchange(error_, 0);
    if (incoming_.empty()) return -EAGAIN;
    const Datagram next = std::move(incoming_.front());
    incoming_.pop_front();
    size_ -= next.bytes.size();
    std::memcpy(buffer.data(), next.bytes.data(), std::min(buffer.size(), next.bytes.size()));
    from = room.first(std::min(room.size(), static_cast<std::size_t>(write_name(next.from, room))));
    return static_cast<long>(next.bytes.size());
}

}  // namespace coaio::net::testing
