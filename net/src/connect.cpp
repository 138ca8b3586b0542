// SPDX-License-Identifier: MIT
#include <coaio/net/connect.hpp>

#include "socket.hpp"

#include <coaio/core/activity.hpp>
#include <coaio/core/event.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/net/resolve.hpp>

#include <cerrno>
#include <exception>
#include <optional>
#include <utility>

namespace coaio::net {

namespace {

// A full backlog of a Unix socket is told by EAGAIN, and nothing tells when there is room again.
constexpr Duration local_retry = std::chrono::milliseconds(5);

Coro<Stream> connect_one(Address address, bool no_delay) {
    const Doing doing([&address] {
        WaitInfo info{.what = "connect to " + address.text()};
        info.fact("peer", address.text());
        return info;
    });
    Socket socket(address);
    long result = socket.connect(address);
    while (result == -EAGAIN) {
        co_await sleep(local_retry);
        result = socket.connect(address);
    }
    if (result < 0 && result != -EINPROGRESS && result != -EINTR) throw_socket_error(result, "connect", address);
    io::Descriptor descriptor = socket.give();
    if (result < 0) {
        const io::Transfer done = co_await descriptor.connected();
        if (!done.ok()) throw_socket_error(-done.error, "connect", address);
    }
    if (no_delay && address.family() != Address::Family::local) set_no_delay(descriptor);
    co_return Stream(std::move(descriptor), address);
}

/// The attempts of one `connect`, and how far they are.
struct Race {
    std::vector<Address> addresses;
    bool no_delay = true;
    Event news;
    std::optional<Stream> winner;
    std::exception_ptr first_failure;
    std::size_t failed = 0;
    std::size_t begun = 0;

    [[nodiscard]] bool over() const noexcept { return winner || failed == addresses.size(); }
};

Coro<> attempt(Race& race, Address address) {
    try {
        Stream stream = co_await connect_one(address, race.no_delay);
        if (!race.winner) race.winner = std::move(stream);
    } catch (const std::exception&) {
        ++race.failed;
        if (race.first_failure == nullptr) race.first_failure = std::current_exception();
    }
    race.news.set();
}

// The next attempt begins when `delay` has passed, or at once when one has failed.
Coro<> run_race(TaskGroup& group, Race& race, Duration delay) {
    while (!race.over()) {
        race.news.clear();
        if (race.begun < race.addresses.size()) {
            group.create_task(attempt(race, race.addresses[race.begun++]), {.name = "connect", .eager_start = false});
        }
        if (race.begun == race.addresses.size()) {
            co_await race.news.wait();
            continue;
        }
        try {
            co_await wait_for(race.news.wait(), delay);
        } catch (const TimeoutError&) {}
    }
    group.cancel();
}

// RFC 8305, section 4: the families alternate, beginning with the one that the resolver put first.
std::vector<Address> interleave(const std::vector<Address>& addresses) {
    std::vector<Address> preferred;
    std::vector<Address> others;
    for (const Address& each : addresses) {
        (each.family() == addresses.front().family() ? preferred : others).push_back(each);
    }
    std::vector<Address> mixed;
    for (std::size_t i = 0; mixed.size() < addresses.size(); ++i) {
        if (i < preferred.size()) mixed.push_back(preferred[i]);
        if (i < others.size()) mixed.push_back(others[i]);
    }
    return mixed;
}

Coro<Stream> connect_any(std::vector<Address> addresses, ConnectOptions options) {
    if (addresses.size() == 1) {
        Stream only = co_await connect_one(addresses.front(), options.no_delay);
        co_return only;
    }
    Race race;
    race.addresses = interleave(addresses);
    race.no_delay = options.no_delay;
    const Duration delay = options.attempt_delay;
    auto body = [&race, delay](TaskGroup& group) -> Coro<> { return run_race(group, race, delay); };
    co_await task_group(body);
    if (!race.winner) std::rethrow_exception(race.first_failure);
    co_return std::move(*race.winner);
}

Coro<Stream> encrypt(Stream stream, std::optional<TlsContext> tls, std::string name) {
    if (tls) stream = co_await start_tls(std::move(stream), std::move(*tls), std::move(name));
    co_return stream;
}

Coro<Stream> connect_host(std::string host, std::uint16_t port, ConnectOptions options, std::optional<TlsContext> tls,
                          std::string name) {
    auto addresses = co_await resolve(host, port, {.family = options.family});
    Stream stream = co_await connect_any(std::move(addresses), options);
    if (name.empty()) name = std::move(host);
    Stream ready = co_await encrypt(std::move(stream), std::move(tls), std::move(name));
    co_return ready;
}

Coro<Stream> connect_address(Address address, ConnectOptions options, std::optional<TlsContext> tls, std::string name) {
    Stream stream = co_await connect_one(address, options.no_delay);
    if (name.empty() && address.family() != Address::Family::local) name = address.host();
    Stream ready = co_await encrypt(std::move(stream), std::move(tls), std::move(name));
    co_return ready;
}

Coro<Stream> limited(Coro<Stream> whole, Duration limit, std::string what) {
    try {
        Stream stream = co_await wait_for(std::move(whole), limit);
        co_return stream;
    } catch (const TimeoutError&) {
        throw TimeoutError("no connection to " + what + " in time");
    }
}

}  // namespace

Coro<Stream> connect(std::string host, std::uint16_t port, ConnectOptions options) {
    const std::string what = host + ":" + std::to_string(port);
    std::optional<TlsContext> tls;
    if (options.tls != nullptr) tls = *options.tls;
    auto whole = connect_host(std::move(host), port, options, std::move(tls), std::string(options.server_name));
    if (options.timeout <= Duration::zero()) return whole;
    return limited(std::move(whole), options.timeout, what);
}

Coro<Stream> connect(Address address, ConnectOptions options) {
    std::optional<TlsContext> tls;
    if (options.tls != nullptr) tls = *options.tls;
    auto whole = connect_address(address, options, std::move(tls), std::string(options.server_name));
    if (options.timeout <= Duration::zero()) return whole;
    return limited(std::move(whole), options.timeout, address.text());
}

}  // namespace coaio::net
