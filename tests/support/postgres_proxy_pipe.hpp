// SPDX-License-Identifier: MIT
#pragma once

#include "support/postgres_proxy.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>

namespace tests::proxy {

using Time = std::chrono::steady_clock::time_point;

/// The beginning of a message, as the rules see it.
struct Head {
    char type = 0;
    std::uint64_t size = 0;  ///< of the whole message
    std::string begins;      ///< its first bytes
};

/// One way of one connection: what was read and not judged yet, and what waits to be written.
class Pipe {
public:
    Pipe(Way its_way, int reads, int writes) : way(its_way), from(reads), to(writes) {}

    Way way;
    int from;
    int to;
    std::string in;
    std::uint64_t left = 0;   ///< of the message that passes
    bool swallowing = false;  ///< it does not pass
    bool frozen = false;
    bool muted = false;  ///< nothing is passed any more
    bool ended = false;  ///< its source has ended
    bool shut = false;   ///< and its target was told
    bool plain = true;   ///< false: TLS
    bool untyped;        ///< the next message is a startup packet, or the one byte that answers a request for TLS
    std::optional<Time> held_until;
    std::optional<Fault> afterwards;

    /// The next message's head, or nothing where more must be read for it.
    [[nodiscard]] std::optional<Head> head() const;

    void put(std::string bytes, const Weather& weather, std::mt19937_64& random);
    /// Writes what is due, one piece after the other; false when the target is gone.
    [[nodiscard]] bool write(Time now, const Weather& weather);
    /// Writes all there is, at once.
    void write_all();

    [[nodiscard]] bool wants_to_read() const { return !ended && !frozen && in.size() + waiting_ < limit; }
    [[nodiscard]] bool wants_to_write(Time now) const { return !out_.empty() && out_.front().due <= now && !frozen; }
    /// When it has to be looked at again by itself.
    [[nodiscard]] std::optional<Time> alarm(Time now) const;
    /// Whether a delay still holds it back.
    [[nodiscard]] bool held(Time now);
    [[nodiscard]] bool empty() const { return in.empty() && out_.empty(); }

private:
    struct Piece {
        Time due;
        std::string bytes;
    };
    static constexpr std::size_t limit = 1U << 18U;

    std::deque<Piece> out_;
    std::size_t waiting_ = 0;
    Time last_due_{};
};

}  // namespace tests::proxy
