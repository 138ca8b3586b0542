// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/sockets.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/event.hpp>

#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace tests {

/// The names of a test's own, for the running loop; its sockets stay the kernel's.
class FakeNames final : public coaio::detail::Sockets {
public:
    /// For the running loop's life.
    static std::shared_ptr<FakeNames> install() {
        auto made = std::make_shared<FakeNames>();
        coaio::detail::set_sockets(made);
        return made;
    }

    std::map<std::string, std::vector<std::string>> addresses;
    std::string slow;  ///< is not answered before `answer_now`
    std::size_t asked = 0;
    coaio::Event answer_now;

    [[nodiscard]] long open(int family, int type, std::unique_ptr<coaio::detail::Port>& socket) override {
        return coaio::detail::open_kernel_socket(family, type, socket);
    }
    [[nodiscard]] coaio::Coro<std::vector<coaio::ResolvedAddress>> look_up(std::string host, std::string service,
                                                                           coaio::ResolveOptions) override {
        ++asked;
        if (host == slow) co_await answer_now.wait();
        const auto known = addresses.find(host);
        if (known == addresses.end()) {
            throw coaio::IoError({ENOENT, std::system_category()}, "look_up", host);
        }
        std::vector<coaio::ResolvedAddress> found;
        found.reserve(known->second.size());
        for (const std::string& address : known->second) {
            coaio::ResolvedAddress each;
            each.address = address;
            each.port = static_cast<std::uint16_t>(std::stoi(service));
            found.push_back(std::move(each));
        }
        co_return found;
    }
    void loop_closed() noexcept override {}
};

}  // namespace tests
