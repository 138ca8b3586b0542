// SPDX-License-Identifier: MIT
#include "support/postgres_proxy_pipe.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

namespace tests::proxy {
namespace {

constexpr std::size_t shown = 512;
constexpr std::uint32_t largest = 1U << 30U;

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

char name_of_packet(std::uint32_t code) {
    switch (code) {
    case 80877102: return message::cancel;
    case 80877103: return message::ssl_request;
    case 80877104: return message::gss_request;
    default: return message::startup;
    }
}

}  // namespace

std::optional<Head> Pipe::head() const {
    Head made;
    if (untyped && way == Way::to_client) {
        if (in.empty()) return std::nullopt;
        made.type = message::ssl_answer;
        made.size = 1;
    } else if (untyped) {
        if (in.size() < 8) return std::nullopt;
        made.type = name_of_packet(number_at(in, 4));
        made.size = number_at(in, 0);
    } else {
        if (in.size() < 5) return std::nullopt;
        made.type = in[0];
        made.size = std::uint64_t{1} + number_at(in, 1);
    }
    // What cannot be a message is passed on as it is: the peer will say so.
    if (made.size == 0 || made.size > largest) made.size = in.size();
    if (in.size() < std::min<std::uint64_t>(made.size, shown)) return std::nullopt;
    made.begins = in.substr(0, std::min<std::uint64_t>(made.size, shown));
    return made;
}

void Pipe::put(std::string bytes, const Weather& weather, std::mt19937_64& random) {
    if (muted) return;
    waiting_ += bytes.size();
    while (!bytes.empty()) {
        std::size_t size = bytes.size();
        if (weather.split > 0) {
            const std::size_t most = weather.random_split ? 1 + random() % weather.split : weather.split;
            size = std::min(size, most);
        }
        Time due = std::chrono::steady_clock::now() + weather.latency;
        if (weather.jitter.count() > 0) {
            due += std::chrono::microseconds(random() % static_cast<std::uint64_t>(weather.jitter.count()));
        }
        last_due_ = std::max(last_due_, due);
        out_.push_back({last_due_, bytes.substr(0, size)});
        bytes.erase(0, size);
    }
}

bool Pipe::write(Time now, const Weather& weather) {
    while (wants_to_write(now)) {
        Piece& piece = out_.front();
        const auto count = ::send(to, piece.bytes.data(), piece.bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        waiting_ -= static_cast<std::size_t>(count);
        piece.bytes.erase(0, static_cast<std::size_t>(count));
        if (!piece.bytes.empty()) return true;
        out_.pop_front();
        if (weather.split > 0) return true;  // so that each piece travels alone
    }
    return true;
}

void Pipe::write_all() {
    for (; !out_.empty(); out_.pop_front()) {
        const std::string& bytes = out_.front().bytes;
        if (::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    }
    out_.clear();
    waiting_ = 0;
}

bool Pipe::held(Time now) {
    if (held_until && now >= *held_until) held_until.reset();
    return held_until.has_value();
}

std::optional<Time> Pipe::alarm(Time now) const {
    if (frozen) return std::nullopt;
    std::optional<Time> next = held_until;
    if (!out_.empty() && out_.front().due > now) next = std::min(next.value_or(Time::max()), out_.front().due);
    return next;
}

}  // namespace tests::proxy
