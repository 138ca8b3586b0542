// SPDX-License-Identifier: MIT
#pragma once

#include "pool_state.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace coaio::db::detail {

/// A link in somebody's hands, and the transactions opened on it, one inside the other. Scope 0 is the connection.
class Use {
public:
    Use(Lease lease, const CommitValues& commit, Duration cancel_timeout)
        : lease_(std::move(lease)), connector_(lease_.connector()), commit_(commit), cancel_timeout_(cancel_timeout) {}

    /// Null once it was given back.
    [[nodiscard]] Link* raw() const noexcept { return lease_ ? &lease_.link() : nullptr; }
    /// Throws UsageError unless `scope` is the innermost one, its transaction is open and nothing was given back.
    [[nodiscard]] Link& link(std::uint64_t scope) const;
    /// For what needs no turn of its own, such as the version.
    [[nodiscard]] const Link& look() const;
    [[nodiscard]] std::uint64_t open_scope(std::uint64_t outer);
    void close_scope(std::uint64_t scope) noexcept;
    /// Gives the link back; at once, or when what runs on it has ended.
    void release() noexcept;
    /// What ran on it has ended.
    void step_done() noexcept;

    /// While it lives the link is not given back, and its place in the pool is taken.
    class Work {
    public:
        explicit Work(Use& use) noexcept : use_(&use) { ++use_->works_; }
        Work(const Work&) = delete;
        Work& operator=(const Work&) = delete;
        ~Work() {
            --use_->works_;
            use_->step_done();
        }

    private:
        Use* use_;
    };

    [[nodiscard]] static Coro<Rows> run(std::shared_ptr<Use> self, std::uint64_t scope, std::string sql, Params params);
    /// Undoes the transaction or savepoint of `scope` by `commands`, whatever happens; false when it had to close the
    /// session, or the one around it was undone before, or it was given back.
    [[nodiscard]] Coro<bool> undo(std::uint64_t scope, std::string commands);

    /// Another session with the same database can be had here, also when the link was given back and its pool is gone.
    [[nodiscard]] const std::shared_ptr<Connector>& connector() const noexcept { return connector_; }
    [[nodiscard]] const CommitValues& commit() const noexcept { return commit_; }
    [[nodiscard]] Duration cancel_timeout() const noexcept { return cancel_timeout_; }

private:
    [[nodiscard]] bool is_open(std::uint64_t scope) const noexcept;

    Lease lease_;
    std::shared_ptr<Connector> connector_;
    std::vector<std::uint64_t> scopes_ = std::vector<std::uint64_t>(1, 0);
    std::uint64_t last_scope_ = 0;
    std::size_t works_ = 0;
    bool released_ = false;
    CommitValues commit_;
    Duration cancel_timeout_;
};

}  // namespace coaio::db::detail
