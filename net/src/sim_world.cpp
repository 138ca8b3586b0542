// SPDX-License-Identifier: MIT
#include "sim_world.hpp"

#include "sim_datagrams.hpp"
#include "sim_socket.hpp"

#include <coaio/core/detail/sys.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <utility>

namespace coaio::net::testing {

namespace {

std::string lower(std::string_view name) {
    std::string text(name);
    if (text.ends_with('.')) text.pop_back();
    for (char& each : text) {
        if (each >= 'A' && each <= 'Z') each = static_cast<char>(each - 'A' + 'a');
    }
    return text;
}

ResolvedAddress answer(std::string_view numeric, std::uint16_t port = 0) {
    const Address address = Address::ip(numeric, port);
    ResolvedAddress result;
    result.family = address.family() == Address::Family::ipv6 ? AddressFamily::ipv6 : AddressFamily::ipv4;
    result.address = address.host();
    result.port = port;
    return result;
}

[[noreturn]] void fail_lookup(int code, const std::string& subject) {
    throw IoError({code, resolver_category()}, "getaddrinfo", subject);
}

}  // namespace

bool is_wildcard(const Address& address) {
    const std::string host = address.host();
    return host == "0.0.0.0" || host == "::";
}

bool covers(const Address& bound, const Address& to, bool dual_stack) {
    if (bound == to) return true;
    if (bound.port() != to.port() || !is_wildcard(bound)) return false;
    return bound.family() == to.family() || (bound.family() == Address::Family::ipv6 && dual_stack);
}

World::World(coaio::detail::LoopCore& core, NetworkOptions wanted)
    : options(wanted), core_(&core), timer_(coaio::detail::Entry(static_cast<coaio::detail::Runnable*>(this))) {
    random_.seed(wanted.seed ? *wanted.seed : core.loop->random());
    lookup_of("localhost").addresses.push_back(answer("127.0.0.1"));
}

World::~World() {
    if (core_ != nullptr && timer_.armed()) core_->disarm(timer_);
}

// --- what happens when --------------------------------------------------------------

void World::at(std::int64_t when, std::function<void()> what) {
    if (core_ == nullptr) return;
    events_.emplace(std::pair(when, next_event_++), std::move(what));
    if (!running_) arm();
}

void World::arm() {
    if (timer_.armed()) core_->disarm(timer_);
    if (!events_.empty()) core_->arm(timer_, events_.begin()->first.first);
}

void World::run() noexcept {
    timer_.fired();
    const auto keep = shared_from_this();
    running_ = true;
    while (!events_.empty() && events_.begin()->first.first <= core_->now) {
        const auto event = events_.extract(events_.begin());
        event.mapped()();
    }
    running_ = false;
    arm();
}

void World::discard() noexcept {
    timer_.fired();
    const auto dropped = std::exchange(events_, {});
}

void World::loop_closed() noexcept {
    if (timer_.armed()) core_->disarm(timer_);
    core_ = nullptr;
    const auto dropped = std::exchange(events_, {});
}

// --- chance -------------------------------------------------------------------------

bool World::chance(double rate) {
    if (rate <= 0) return false;
    return static_cast<double>(random_() >> 11) * 0x1.0p-53 < rate;
}

std::size_t World::draw(std::size_t most) { return 1 + random_() % most; }

std::size_t World::chunk_of(std::size_t there) {
    if (!options.chunk || there < 2 || chance(0.5)) return there;
    return draw(chance(0.5) ? there : std::min<std::size_t>(there, 8));
}

bool World::exhausted() { return sockets >= most_sockets || chance(options.exhaustion_rate); }

// --- routes -------------------------------------------------------------------------

Duration World::way() {
    Duration time = options.latency;
    if (options.jitter > Duration::zero()) {
        time += Duration(static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(options.jitter.count() + 1)));
    }
    return time;
}

Duration World::trip(const Address& from, const Address& to) {
    Duration time = way();
    for (const Address* each : {&from, &to}) {
        if (const auto found = delays_.find(each->host()); found != delays_.end()) time += found->second;
    }
    return time;
}

Fate World::fate_of(const Address& address) const {
    auto found = fates_.find({address.host(), address.port()});
    if (found == fates_.end()) found = fates_.find({address.host(), 0});
    return found == fates_.end() ? Fate::arrives : found->second;
}

Fate World::fate(const Address& from, const Address& to) const {
    if (fate_of(from) == Fate::lost) return Fate::lost;
    return fate_of(to);
}

Address World::source_for(const Address& to) {
    const std::string host = to.host();
    const bool six = to.family() == Address::Family::ipv6;
    if (host == "::1" || host.starts_with("127.")) return Address::ip(host, free_port());
    return Address::ip(six ? "2001:db8:c::1" : "192.0.2.1", free_port());
}

std::uint16_t World::free_port() noexcept {
    for (std::uint32_t tries = first_free_port; tries <= UINT16_MAX; ++tries) {
        const std::uint16_t port = next_port_;
        next_port_ = port == UINT16_MAX ? first_free_port : static_cast<std::uint16_t>(port + 1);
        const bool taken =
            std::any_of(bound.begin(), bound.end(), [&](const auto* each) { return each->own().port() == port; }) ||
            std::any_of(datagrams.begin(), datagrams.end(), [&](const auto* each) { return each->has_port(port); });
        if (!taken) return port;
    }
    return 0;
}

std::vector<std::string> World::addresses_of(std::string_view host) const {
    if (const auto found = names_.find(lower(host)); found != names_.end()) {
        std::vector<std::string> addresses;
        for (const ResolvedAddress& each : found->second.addresses) addresses.push_back(each.address);
        return addresses;
    }
    try {
        return {Address::ip(host, 0).host()};
    } catch (const ValueError&) {
        throw ValueError("the simulated network knows no host '" + std::string(host) + "': name it with host() first");
    }
}

void World::set_fate(std::string_view host, std::uint16_t port, Fate fate) {
    for (std::string& address : addresses_of(host)) {
        if (port == 0) std::erase_if(fates_, [&](const auto& each) { return each.first.first == address; });
        fates_[{std::move(address), port}] = fate;
    }
    for (const auto& each : connections) {
        if (const auto connection = each.lock()) connection->go_on();
    }
}

void World::delay(std::string_view host, Duration extra) {
    for (const std::string& address : addresses_of(host)) delays_[address] = extra;
}

void World::reset(std::string_view host, std::uint16_t port) {
    const auto addresses = addresses_of(host);
    const auto is_one = [&](const Address& address) {
        return (port == 0 || address.port() == port) &&
               std::find(addresses.begin(), addresses.end(), address.host()) != addresses.end();
    };
    for (const auto& each : connections) {
        const auto connection = each.lock();
        if (!connection) continue;
        if (is_one(connection->address(0)) || is_one(connection->address(1))) connection->reset_now();
    }
}

// --- who is there -------------------------------------------------------------------

long World::open(int family, int type, std::unique_ptr<coaio::detail::Port>& socket) {
    if (family == AF_UNIX) return coaio::detail::open_kernel_socket(family, type, socket);
    if (core_ == nullptr) return -EBADF;
    if (const int error = coaio::detail::sys::fault(coaio::testing::Syscall::socket)) return -error;
    if (exhausted()) return -EMFILE;
    if (type == SOCK_STREAM) {
        socket = std::make_unique<SimulatedSocket>(shared_from_this());
    } else {
        socket = std::make_unique<SimulatedDatagrams>(shared_from_this(), family == AF_INET6);
    }
    return 0;
}

bool World::is_bound(const SimulatedSocket& socket) const {
    return std::any_of(bound.begin(), bound.end(), [&](const SimulatedSocket* other) {
        if (other == &socket || (other->shares_port() && socket.shares_port())) return false;
        return covers(other->own(), socket.own(), other->dual_stack()) ||
               covers(socket.own(), other->own(), socket.dual_stack());
    });
}

SimulatedSocket* World::listener_at(const Address& to) {
    std::vector<SimulatedSocket*> found;
    for (const bool exact : {true, false}) {
        for (SimulatedSocket* const each : bound) {
            if (!each->is_listening()) continue;
            if (exact ? each->own() == to : covers(each->own(), to, each->dual_stack())) found.push_back(each);
        }
        if (!found.empty()) return found[found.size() == 1 ? 0 : draw(found.size()) - 1];
    }
    return nullptr;
}

SimulatedSocket* World::socket_of(std::uint64_t id) const {
    const auto found = std::find_if(bound.begin(), bound.end(), [&](const auto* each) { return each->id() == id; });
    return found == bound.end() ? nullptr : *found;
}

SimulatedDatagrams* World::receiver_at(const Address& to, const Address& from) {
    SimulatedDatagrams* found = nullptr;
    int best = 0;
    for (SimulatedDatagrams* const each : datagrams) {
        const int closeness = each->closeness(to, from);
        if (closeness <= best) continue;
        best = closeness;
        found = each;
    }
    return found;
}

void World::note(const Address& from, const Address& to, std::string_view what) {
    if (!options.trace) return;
    char time[32];
    std::snprintf(time, sizeof time, "%14.6f  ", static_cast<double>(now()) / 1e9);
    trace.append(time).append(from.text()).append(" > ").append(to.text()).append("  ").append(what).append("\n");
}

// --- names --------------------------------------------------------------------------

void World::shuffle(std::vector<ResolvedAddress>& answers) {
    for (std::size_t left = answers.size(); left > 1; --left) std::swap(answers[left - 1], answers[draw(left) - 1]);
}

World::Lookup& World::lookup_of(std::string_view name) { return names_[lower(name)]; }

Coro<std::vector<ResolvedAddress>> World::look_up(std::string host, std::string service, ResolveOptions wanted) {
    const auto keep = shared_from_this();
    const std::string subject = (host.empty() ? "*" : host) + (service.empty() ? "" : ":" + service);
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(service.data(), service.data() + service.size(), port);
    if (error != std::errc() || stop != service.data() + service.size()) {
        if (!service.empty()) fail_lookup(EAI_SERVICE, subject);
    }
    std::vector<ResolvedAddress> answers;
    if (host.empty()) {
        answers.push_back(answer(wanted.passive ? "0.0.0.0" : "127.0.0.1"));
        answers.push_back(answer(wanted.passive ? "::" : "::1"));
    } else if (wanted.numeric_only) {
        fail_lookup(EAI_NONAME, subject);
    } else {
        const auto asked = names_.find(lower(host));
        const bool local = lower(host) == "localhost";
        Duration time = local ? Duration::zero() : way() + way();
        if (asked != names_.end() && asked->second.delay) time = *asked->second.delay;
        if (time > Duration::zero()) co_await sleep(time);
        // The answer is that of the moment at which it is given.
        const auto found = names_.find(lower(host));
        if (!local && chance(options.lookup_failure_rate)) fail_lookup(EAI_AGAIN, subject);
        if (found == names_.end()) fail_lookup(EAI_NONAME, subject);
        if (found->second.failure != 0) fail_lookup(found->second.failure, subject);
        answers = found->second.addresses;
        // A name server turns them round as it likes; a calm network leaves them as they were given.
        if (options.jitter > Duration::zero()) shuffle(answers);
    }
    std::erase_if(answers, [&](const ResolvedAddress& each) {
        return wanted.family != AddressFamily::any && each.family != wanted.family;
    });
    if (answers.empty()) fail_lookup(EAI_NONAME, subject);
    for (ResolvedAddress& each : answers) each.port = port;
    co_return answers;
}

// --- the public face ----------------------------------------------------------------

Network::Network(NetworkOptions options) {
    if (coaio::detail::running_sockets() != nullptr) {
        throw RuntimeError("the running loop has a simulated network already: Network::current() is it");
    }
    world_ = std::make_shared<World>(coaio::detail::require_core(), options);
    coaio::detail::set_sockets(world_);
}

Network::Network(std::shared_ptr<World> world) noexcept : world_(std::move(world)) {}

Network Network::current() {
    auto world = std::dynamic_pointer_cast<World>(coaio::detail::running_sockets());
    if (world == nullptr) throw RuntimeError("the running loop has no simulated network: make a Network first");
    return Network(std::move(world));
}

void Network::set_options(NetworkOptions options) {
    options.seed = world_->options.seed;
    options.trace = world_->options.trace;
    world_->options = options;
}
const NetworkOptions& Network::options() const noexcept { return world_->options; }

void Network::host(std::string_view name, std::string_view address) {
    world_->lookup_of(name).addresses.push_back(answer(address));
}
void Network::slow_lookup(std::string_view name, Duration delay) { world_->lookup_of(name).delay = delay; }
void Network::fail_lookup(std::string_view name, int code) { world_->lookup_of(name).failure = code; }

void Network::refuse(std::string_view host, std::uint16_t port) { world_->set_fate(host, port, Fate::refused); }
void Network::unreachable(std::string_view host, std::uint16_t port) {
    world_->set_fate(host, port, Fate::unreachable);
}
void Network::silence(std::string_view host, std::uint16_t port) { world_->set_fate(host, port, Fate::lost); }
void Network::heal(std::string_view host, std::uint16_t port) { world_->set_fate(host, port, Fate::arrives); }
void Network::delay(std::string_view host, Duration extra) { world_->delay(host, extra); }
void Network::reset(std::string_view host, std::uint16_t port) { world_->reset(host, port); }
void Network::limit_sockets(std::size_t most) { world_->most_sockets = most; }

std::size_t Network::sockets() const noexcept { return world_->sockets; }
std::string Network::trace() const { return world_->trace; }

}  // namespace coaio::net::testing
