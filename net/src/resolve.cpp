// SPDX-License-Identifier: MIT
#include <coaio/net/resolve.hpp>

#include <coaio/core/loop.hpp>

#include <utility>

namespace coaio::net {

Coro<std::vector<Address>> resolve(std::string host, std::uint16_t port, ResolveOptions options) {
    auto question = get_running_loop().getaddrinfo(std::move(host), std::to_string(port), options);
    const auto answers = co_await std::move(question);
    std::vector<Address> addresses;
    addresses.reserve(answers.size());
    for (const auto& answer : answers) addresses.push_back(Address::ip(answer.address, answer.port));
    co_return addresses;
}

}  // namespace coaio::net
