// SPDX-License-Identifier: MIT
#include "sim_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace coaio::net::testing {

namespace {

// Linux's: when a lost packet is sent again, first and at the latest, and how long it is tried at all.
constexpr Duration first_repeat = std::chrono::milliseconds(200);
constexpr Duration last_repeat = std::chrono::seconds(120);
constexpr Duration give_up = std::chrono::milliseconds(924'600);

}  // namespace

void Connection::End::wake() noexcept {
    if (socket == nullptr) return;
    socket->in.signal();
    socket->out.signal();
}

long Connection::read(std::size_t side, std::span<std::byte> into) {
    End& own = ends_[side];
    if (own.unread() != 0) {
        const std::size_t count = world_->chunk_of(std::min(into.size(), own.unread()));
        const char* const from = own.incoming.data() + own.taken;
        std::copy_n(reinterpret_cast<const std::byte*>(from), count, into.begin());
        own.taken += count;
        if (own.unread() == 0) {
            own.incoming.clear();
            own.taken = 0;
        }
        if (SimulatedSocket* const writer = ends_[1 - side].socket) writer->out.signal();
        return static_cast<long>(count);
    }
    if (own.ended) return 0;  // whatever came after: that is for the writer to learn
    if (own.error != 0) return -std::exchange(own.error, 0);
    return own.dead ? 0 : -EAGAIN;
}

long Connection::write(std::size_t side, std::span<const coaio::detail::ConstBuffer> buffers) {
    End& own = ends_[side];
    End& other = ends_[1 - side];
    if (own.error != 0) return -std::exchange(own.error, 0);
    if (own.shut || own.dead) return -EPIPE;
    std::size_t wanted = 0;
    for (const auto& each : buffers) wanted += each.size;
    if (wanted == 0) return 0;
    const std::size_t there = other.unread() + other.on_the_way;
    if (there >= world_->options.buffer) return -EAGAIN;
    const std::size_t count = world_->chunk_of(std::min(wanted, world_->options.buffer - there));
    std::string bytes;
    bytes.reserve(count);
    for (const auto& each : buffers) {
        const std::size_t part = std::min(each.size, count - bytes.size());
        bytes.append(static_cast<const char*>(each.data), part);
    }
    other.on_the_way += count;
    while (!bytes.empty()) {
        const std::size_t part = world_->chunk_of(bytes.size());
        Packet packet(Packet::Kind::data, 1 - side);
        packet.bytes = bytes.substr(0, part);
        bytes.erase(0, part);
        send(std::move(packet));
    }
    return static_cast<long>(count);
}

long Connection::shutdown_write(std::size_t side) {
    End& own = ends_[side];
    if (own.dead) return -ENOTCONN;
    if (!std::exchange(own.shut, true)) send(Packet(Packet::Kind::end, 1 - side));
    return 0;
}

void Connection::close(std::size_t side, bool abort) {
    End& own = ends_[side];
    own.socket = nullptr;
    if (std::exchange(own.closed, true) || own.dead) return;
    if (abort || own.unread() != 0) {
        own.dead = true;
        send(Packet(Packet::Kind::reset, 1 - side));
    } else if (!std::exchange(own.shut, true)) {
        send(Packet(Packet::Kind::end, 1 - side));
    }
}

// --- on the way ---------------------------------------------------------------------

void Connection::send(Packet packet) {
    End& from = ends_[1 - packet.to];
    End& to = ends_[packet.to];
    const Duration trip = world_->trip(from.address, to.address);
    Duration lost = Duration::zero();
    for (Duration repeat = first_repeat; lost < give_up && world_->chance(world_->options.loss_rate); repeat *= 2) {
        world_->note(from.address, to.address, "lost, sent again");
        lost += std::min(repeat, last_repeat);
    }
    if (lost >= give_up) {
        to.not_before = std::max(to.not_before, world_->now() + give_up.count());
        world_->at(to.not_before, [self = shared_from_this(), sender = 1 - packet.to] { self->give_up_on(sender); });
        return;
    }
    const Duration time = trip + lost;
    if (packet.kind == Packet::Kind::data && world_->chance(world_->options.reset_rate)) {
        packet.kind = Packet::Kind::reset;
        Packet back(Packet::Kind::reset, 1 - packet.to);
        world_->after(time, [self = shared_from_this(), back = std::move(back)] { self->arrive(back); });
    }
    // Nothing overtakes anything.
    to.not_before = std::max(to.not_before, world_->now() + time.count());
    world_->at(to.not_before, [self = shared_from_this(), packet = std::move(packet)] { self->arrive(packet); });
}

void Connection::arrive(Packet packet) {
    // After a gap nothing of the stream can arrive.
    if (packet.kind != Packet::Kind::reset && ends_[1 - packet.to].given_up) return;
    if (!held_.empty() || world_->silent(ends_[0].address, ends_[1].address)) {
        hold(std::move(packet));
    } else {
        take(std::move(packet));
    }
}

void Connection::hold(Packet packet) {
    world_->note(ends_[1 - packet.to].address, ends_[packet.to].address, "held: nothing gets through");
    const std::size_t sender = 1 - packet.to;
    // A reset is not sent again: nobody waits for an answer to it.
    const auto awaited = [&](const Packet& each) { return each.to != sender && each.kind != Packet::Kind::reset; };
    const bool first = awaited(packet) && std::none_of(held_.begin(), held_.end(), awaited);
    held_.push_back(std::move(packet));
    if (!first) return;
    world_->after(give_up, [self = shared_from_this(), serial = holds_, sender] {
        if (self->holds_ == serial) self->give_up_on(sender);
    });
}

void Connection::give_up_on(std::size_t sender) {
    ends_[sender].given_up = true;
    std::erase_if(held_, [&](const Packet& each) { return each.to != sender && each.kind != Packet::Kind::reset; });
    die(sender, ETIMEDOUT);
}

void Connection::go_on() {
    if (held_.empty() || world_->silent(ends_[0].address, ends_[1].address)) return;
    const auto keep = shared_from_this();
    world_->after(Duration::zero(), [keep] {
        ++keep->holds_;
        for (Packet& each : std::exchange(keep->held_, {})) keep->take(std::move(each));
    });
}

void Connection::take(Packet packet) {
    End& own = ends_[packet.to];
    End& other = ends_[1 - packet.to];
    const std::size_t size = packet.bytes.size();
    own.on_the_way -= size;
    if (own.dead) {
        // It knows of no connection any more, and says so, lest the other end wait for ever.
        if (packet.kind != Packet::Kind::reset && !other.dead) send(Packet(Packet::Kind::reset, 1 - packet.to));
        return;
    }
    switch (packet.kind) {
    case Packet::Kind::data:
        world_->note(other.address, own.address, "data " + std::to_string(size));
        if (own.closed) {
            // Nobody will read it: who sent it is told so.
            own.dead = true;
            send(Packet(Packet::Kind::reset, 1 - packet.to));
            return;
        }
        own.incoming += packet.bytes;
        if (own.socket != nullptr) own.socket->in.signal();
        return;
    case Packet::Kind::end:
        world_->note(other.address, own.address, "end");
        own.ended = true;
        if (own.socket != nullptr) own.socket->in.signal();
        return;
    case Packet::Kind::reset:
        world_->note(other.address, own.address, "reset");
        die(packet.to, own.ended ? EPIPE : ECONNRESET);
        return;
    }
}

void Connection::die(std::size_t side, int error) {
    End& own = ends_[side];
    if (std::exchange(own.dead, true) || own.closed) return;
    own.error = error;
    own.wake();
}

void Connection::reset_now() {
    world_->note(ends_[0].address, ends_[1].address, "reset by the test");
    die(0, ECONNRESET);
    die(1, ECONNRESET);
}

}  // namespace coaio::net::testing
