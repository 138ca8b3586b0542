// SPDX-License-Identifier: MIT
#include "sim_socket.hpp"

#include <coaio/core/detail/sys.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace coaio::net::testing {

namespace {

namespace sys = coaio::detail::sys;
using coaio::testing::Syscall;

// Linux's: an attempt that gets no answer is repeated after a second, then after twice that, and given up at 127 s.
constexpr Duration first_repeat = std::chrono::seconds(1);
constexpr Duration give_up = std::chrono::seconds(127);

int value_of(std::span<const std::byte> bytes) noexcept {
    int value = 0;
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
}

}  // namespace

long write_name(const Address& address, std::span<std::byte> into) noexcept {
    const auto bytes = address.bytes();
    std::copy_n(bytes.begin(), std::min(bytes.size(), into.size()), into.begin());
    return static_cast<long>(bytes.size());
}

SimulatedSocket::SimulatedSocket(std::shared_ptr<World> world)
    : Port(*world->core(), nullptr), world_(std::move(world)), id_(world_->next_id()) {
    ++world_->sockets;
}

SimulatedSocket::SimulatedSocket(std::shared_ptr<World> world, std::shared_ptr<Connection> accepted)
    : SimulatedSocket(std::move(world)) {
    connection_ = std::move(accepted);
    side_ = 1;
    own_ = connection_->address(1);
    connection_->attach(1, *this);
}

SimulatedSocket::~SimulatedSocket() {
    close_sides();
    --world_->sockets;
    std::erase(world_->bound, this);
    if (attempt_ != nullptr) attempt_->socket = nullptr;
    if (connection_ != nullptr) connection_->close(side_, spoilt_);
    for (const auto& each : waiting_) each->close(1, true);
}

// --- setting up ---------------------------------------------------------------------

long SimulatedSocket::set_option(int level, int name, std::span<const std::byte> value) noexcept {
    if (const int error = sys::fault(Syscall::setsockopt)) return -error;
    if (level == SOL_SOCKET && name == SO_REUSEPORT) reuse_port_ = value_of(value) != 0;
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) dual_stack_ = value_of(value) == 0;
    return 0;
}

long SimulatedSocket::bind(std::span<const std::byte> address) noexcept {
    if (const int error = sys::fault(Syscall::bind)) return -error;
    Address wanted = Address::from_bytes(address);
    if (own_.family() != Address::Family::none) return -EINVAL;
    if (wanted.port() == 0) wanted = Address::ip(wanted.host(), world_->free_port());
    if (wanted.port() == 0) return -EADDRINUSE;
    own_ = wanted;
    if (world_->is_bound(*this)) {
        own_ = Address();
        return -EADDRINUSE;
    }
    world_->bound.push_back(this);
    return 0;
}

long SimulatedSocket::listen(int backlog) noexcept {
    if (const int error = sys::fault(Syscall::listen)) return -error;
    backlog_ = static_cast<std::size_t>(std::max(backlog, 0));
    listening_ = true;
    in.exhausted();
    return 0;
}

long SimulatedSocket::name_of(End end, std::span<std::byte> into) const noexcept {
    if (end == End::own) return write_name(own_, into);
    if (connection_ == nullptr) return -ENOTCONN;
    return write_name(connection_->address(1 - side_), into);
}

std::string SimulatedSocket::describe() const {
    if (connection_ != nullptr) return "a simulated connection with " + connection_->address(1 - side_).text();
    if (attempt_ != nullptr) return "a simulated connection attempt to " + attempt_->to.text();
    return listening_ ? "a simulated listener at " + own_.text() : "a simulated socket";
}

// --- connecting ---------------------------------------------------------------------

long SimulatedSocket::connect(std::span<const std::byte> address) noexcept {
    if (const int error = sys::fault(Syscall::connect)) return -error;
    if (connection_ != nullptr) return -EISCONN;
    if (attempt_ != nullptr) return -EALREADY;
    Address to = Address::from_bytes(address);
    if (is_wildcard(to)) to = Address::ip(to.family() == Address::Family::ipv6 ? "::1" : "127.0.0.1", to.port());
    if (own_.family() == Address::Family::none) own_ = world_->source_for(to);
    attempt_ = std::make_shared<Attempt>();
    attempt_->socket = this;
    attempt_->from = own_;
    attempt_->to = to;
    attempt_->deadline = world_->now() + give_up.count();
    attempt_->retry = first_repeat;
    knock(*world_, attempt_);
    return -EINPROGRESS;
}

void SimulatedSocket::knock(World& world, const std::shared_ptr<Attempt>& attempt) {
    if (attempt->socket == nullptr) return;
    world.after(world.trip(attempt->from, attempt->to), [&world, attempt] { arrive(world, attempt); });
}

// What the other machine does with it. Nothing, where it does not answer; then it is repeated.
void SimulatedSocket::arrive(World& world, const std::shared_ptr<Attempt>& attempt) {
    if (attempt->socket == nullptr) return;
    const Address& from = attempt->from;
    const Address& to = attempt->to;
    Fate fate = world.fate(from, to);
    if (fate == Fate::arrives && world.chance(world.options.loss_rate)) fate = Fate::lost;
    if (fate == Fate::arrives && world.chance(world.options.refuse_rate)) fate = Fate::refused;
    SimulatedSocket* const listener = fate == Fate::arrives ? world.listener_at(to) : nullptr;
    if (fate == Fate::arrives && listener == nullptr) fate = Fate::refused;
    if (listener != nullptr && !listener->reserve()) fate = Fate::lost;
    if (fate == Fate::refused) return fail(world, attempt, ECONNREFUSED);
    if (fate == Fate::unreachable) return fail(world, attempt, EHOSTUNREACH);
    if (fate == Fate::lost) {
        world.note(from, to, "attempt lost");
        if (world.now() + attempt->retry.count() >= attempt->deadline) {
            world.at(attempt->deadline, [&world, attempt] { fail(world, attempt, ETIMEDOUT); });
        } else {
            world.after(attempt->retry, [&world, attempt] { knock(world, attempt); });
            attempt->retry *= 2;
        }
        return;
    }
    const auto connection = std::make_shared<Connection>(world, from, to);
    std::erase_if(world.connections, [](const auto& each) { return each.expired(); });
    world.connections.push_back(connection);
    world.after(world.trip(to, from), [keep = world.shared_from_this(), attempt, connection, id = listener->id()] {
        settle(keep, attempt, connection, id, true);
    });
}

void SimulatedSocket::fail(World& world, const std::shared_ptr<Attempt>& attempt, int error) {
    world.note(attempt->to, attempt->from, std::string("attempt failed: ") + std::strerror(error));
    const Duration time = error == ETIMEDOUT ? Duration::zero() : world.trip(attempt->to, attempt->from);
    world.after(time, [attempt, error] {
        if (attempt->socket == nullptr) return;
        attempt->socket->failure_ = error;
        attempt->socket->out.signal();
    });
}

// First the answer is back at the client, which may write then; a trip later the server knows.
void SimulatedSocket::settle(const std::shared_ptr<World>& world, const std::shared_ptr<Attempt>& attempt,
                             const std::shared_ptr<Connection>& connection, std::uint64_t id, bool answered) {
    SimulatedSocket* const client = attempt->socket;
    if (answered && client != nullptr) {
        world->note(attempt->from, attempt->to, "connected");
        client->connection_ = connection;
        client->attempt_ = nullptr;
        connection->attach(0, *client);
        client->out.signal();
        const std::int64_t known = world->now() + world->trip(attempt->from, attempt->to).count();
        connection->not_before(0, known);
        world->at(known, [world, attempt, connection, id] { settle(world, attempt, connection, id, false); });
        return;
    }
    SimulatedSocket* const listener = world->socket_of(id);
    if (listener != nullptr) listener->give_back();
    if (answered) return;  // the client has given up meanwhile
    if (listener == nullptr) {
        connection->close(1, true);
    } else {
        listener->hand_over(connection);
    }
}

long SimulatedSocket::finish_connect() noexcept {
    if (const int error = sys::fault(Syscall::getsockopt)) return -error;
    if (failure_ != 0) return -std::exchange(failure_, 0);
    return connection_ != nullptr ? 0 : -EAGAIN;
}

// --- accepting ----------------------------------------------------------------------

bool SimulatedSocket::reserve() noexcept {
    if (waiting_.size() + promised_ > backlog_) return false;  // Linux lets in one more than it is told
    ++promised_;
    return true;
}

void SimulatedSocket::hand_over(std::shared_ptr<Connection> connection) {
    waiting_.push_back(std::move(connection));
    in.signal();
}

long SimulatedSocket::accept(std::unique_ptr<coaio::detail::Port>& accepted) noexcept {
    if (const int error = sys::fault(Syscall::accept)) return -error;
    if (!listening_) return -EINVAL;
    if (world_->exhausted()) return -EMFILE;  // Linux looks for a descriptor first
    if (waiting_.empty()) return -EAGAIN;
    accepted = std::make_unique<SimulatedSocket>(world_, std::move(waiting_.front()));
    waiting_.pop_front();
    return 1;
}

// --- transferring -------------------------------------------------------------------

long SimulatedSocket::read(std::span<std::byte> buffer) noexcept {
    std::size_t size = buffer.size();
    if (const int error = sys::fault(Syscall::read, &size)) return -error;
    return connection_ != nullptr ? connection_->read(side_, buffer.first(size)) : -ENOTCONN;
}

long SimulatedSocket::write(std::span<const coaio::detail::ConstBuffer> buffers) noexcept {
    std::size_t size = SIZE_MAX;
    if (const int error = sys::fault(Syscall::write, &size)) return -error;
    if (connection_ == nullptr) return -EPIPE;
    if (size == SIZE_MAX || buffers.empty()) return connection_->write(side_, buffers);
    const coaio::detail::ConstBuffer first{buffers.front().data, std::min(buffers.front().size, size)};
    return connection_->write(side_, std::span(&first, 1));
}

long SimulatedSocket::shutdown_write() noexcept {
    if (const int error = sys::fault(Syscall::shutdown)) return -error;
    return connection_ != nullptr ? connection_->shutdown_write(side_) : -ENOTCONN;
}

}  // namespace coaio::net::testing
