// SPDX-License-Identifier: MIT
#pragma once

#include "link_pq.hpp"
#include "pool_state.hpp"
#include "use.hpp"

#include <cstdint>
#include <memory>

namespace coaio::db::detail {

/// The way to a session for what takes several steps: one of a pool's, taken when it is first needed, or one that the
/// user has, where it may be used only while its scope is the innermost.
class Path {
public:
    /// `keeper` keeps the pool open.
    Path(std::shared_ptr<PoolState> pool, std::shared_ptr<const void> keeper) noexcept
        : pool_(std::move(pool)), keeper_(std::move(keeper)) {}
    Path(std::shared_ptr<Use> use, std::uint64_t scope) noexcept : use_(std::move(use)), scope_(scope) {}
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;
    ~Path() { close(); }

    /// The same way for something else.
    [[nodiscard]] std::shared_ptr<Path> again() const;
    [[nodiscard]] static Coro<> open(std::shared_ptr<Path> self);
    /// Throws UsageError where it may not be used.
    [[nodiscard]] PqLink& link() const;
    /// The link that `open` led to, whatever has become of its scope; null before it, and once it was given back.
    [[nodiscard]] PqLink* raw() const noexcept;
    /// Another session with the same database can be had here.
    [[nodiscard]] Connector& connector() const noexcept { return use_ ? *use_->connector() : *pool_->connector(); }
    /// Back to its pool.
    void close() noexcept;

private:
    std::shared_ptr<PoolState> pool_;
    std::shared_ptr<const void> keeper_;
    Lease lease_;
    std::shared_ptr<Use> use_;
    std::uint64_t scope_ = 0;
};

/// One step at a time: two tasks that take steps of one thing at once are an error.
class Step {
public:
    Step(bool& taken, const char* what) : taken_(&taken) {
        if (taken) throw UsageError(std::string("two tasks use one ") + what + " at the same time");
        taken = true;
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { *taken_ = false; }

private:
    bool* taken_;
};

}  // namespace coaio::db::detail
