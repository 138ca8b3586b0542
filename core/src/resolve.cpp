// SPDX-License-Identifier: MIT
#include <coaio/core/resolve.hpp>

#include <coaio/core/error.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/loop.hpp>

#include "loop_impl.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace coaio {

namespace {

// Enough that one dead name server does not hold up the others for long.
constexpr std::size_t resolver_threads = 8;

ThreadPoolExecutor& resolver_pool() {
    static auto* const pool = new ThreadPoolExecutor(resolver_threads, "coaio-resolver");  // outlives every loop
    return *pool;
}

class ResolverCategory final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "resolver"; }
    [[nodiscard]] std::string message(int code) const override { return ::gai_strerror(code); }
    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        if (code == EAI_MEMORY) return std::errc::not_enough_memory;
        if (code == EAI_AGAIN) return std::errc::resource_unavailable_try_again;
        return {code, *this};
    }
};

int family_of(AddressFamily family) {
    switch (family) {
    case AddressFamily::ipv4: return AF_INET;
    case AddressFamily::ipv6: return AF_INET6;
    case AddressFamily::any: break;
    }
    return AF_UNSPEC;
}

std::string subject_of(const std::string& host, const std::string& service) {
    std::string text = host.empty() ? "*" : host;
    if (!service.empty()) text += ":" + service;
    return text;
}

std::optional<ResolvedAddress> answer_of(const addrinfo& entry) {
    ResolvedAddress answer;
    std::array<char, NI_MAXHOST> text{};
    if (entry.ai_family == AF_INET) {
        answer.port = ntohs(reinterpret_cast<const sockaddr_in*>(entry.ai_addr)->sin_port);
    } else if (entry.ai_family == AF_INET6) {
        answer.family = AddressFamily::ipv6;
        answer.port = ntohs(reinterpret_cast<const sockaddr_in6*>(entry.ai_addr)->sin6_port);
    } else {
        return std::nullopt;
    }
    if (::getnameinfo(entry.ai_addr, entry.ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
        return std::nullopt;
    }
    answer.address = text.data();
    return answer;
}

std::vector<ResolvedAddress> ask(const std::string& host, const std::string& service, const ResolveOptions& options) {
    addrinfo wanted{};
    wanted.ai_family = family_of(options.family);
    wanted.ai_socktype = SOCK_STREAM;
    if (options.passive) wanted.ai_flags |= AI_PASSIVE;
    if (options.numeric_only) wanted.ai_flags |= AI_NUMERICHOST;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), service.empty() ? nullptr : service.c_str(),
                                   &wanted, &found);
    const int system_error = errno;
    if (code == EAI_SYSTEM) {
        throw IoError({system_error, std::system_category()}, "getaddrinfo", subject_of(host, service));
    }
    if (code != 0) throw IoError({code, resolver_category()}, "getaddrinfo", subject_of(host, service));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> keep(found, &::freeaddrinfo);
    std::vector<ResolvedAddress> answers;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        auto answer = answer_of(*entry);
        if (answer && std::find(answers.begin(), answers.end(), *answer) == answers.end()) {
            answers.push_back(std::move(*answer));
        }
    }
    return answers;
}

// A numeric address and port need no thread.
std::optional<ResolvedAddress> read_numeric(const std::string& host, const std::string& service, AddressFamily family) {
    ResolvedAddress answer;
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    if (family != AddressFamily::ipv6 && ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) {
        answer.family = AddressFamily::ipv4;
    } else if (family != AddressFamily::ipv4 && ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) {
        answer.family = AddressFamily::ipv6;
    } else {
        return std::nullopt;
    }
    if (!service.empty()) {
        const char* const end = service.data() + service.size();
        const auto [stop, error] = std::from_chars(service.data(), end, answer.port);
        if (error != std::errc() || stop != end) return std::nullopt;
    }
    answer.address = host;
    return answer;
}

}  // namespace

const std::error_category& resolver_category() noexcept {
    static const ResolverCategory category;
    return category;
}

Coro<std::vector<ResolvedAddress>> Loop::getaddrinfo(std::string host, std::uint16_t port, ResolveOptions options) {
    return getaddrinfo(std::move(host), std::to_string(port), options);
}

Coro<std::vector<ResolvedAddress>> Loop::getaddrinfo(std::string host, std::string service, ResolveOptions options) {
    if (host.find('\0') != std::string::npos || service.find('\0') != std::string::npos) {
        throw ValueError("a host or service name cannot hold a zero byte");
    }
    auto numeric = read_numeric(host, service, options.family);
    std::vector<ResolvedAddress> answers;
    if (numeric) {
        answers.push_back(std::move(*numeric));
    } else if (const auto simulated = impl_->sockets; simulated != nullptr) {
        auto question = simulated->look_up(std::move(host), std::move(service), options);
        answers = co_await std::move(question);
    } else {
        auto question =
            run_in_executor(resolver_pool(), [host, service, options] { return ask(host, service, options); });
        answers = co_await std::move(question);
    }
    co_return answers;
}

}  // namespace coaio
