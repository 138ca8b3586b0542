// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/error.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/row.hpp>

#include <coaio/core/coro.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <string>

namespace coaio::db::detail {

/// A session on which statements of many tasks can be under way at once (see lanes.hpp): `enter_lane`, then as many
/// `lane_send` as one likes and an answer from `lane_take` for each of them, in their order; `leave_lane` when all have
/// come.
class LaneLink {
public:
    struct Answer {
        Rows rows;
        std::optional<ErrorFields> failure;  ///< of this statement
        bool unmet = false;                  ///< types in it that users made are not known on this session
        bool undone = false;      ///< it shared its Sync, and one of those failed: none of them had an effect
        std::size_t further = 0;  ///< answers of the same Sync that come after it
    };

    LaneLink() = default;
    LaneLink(const LaneLink&) = delete;
    LaneLink& operator=(const LaneLink&) = delete;
    virtual ~LaneLink();

    /// The session is busy from now on. Each statement has a Sync of its own, or shares one with those that go with it.
    virtual void enter_lane(bool shares_sync) = 0;
    /// Prepares it on the way where it is not yet. Whatever it throws, the statement may have been sent.
    virtual void lane_send(const std::string& sql, const Params& params) = 0;
    /// The next answer, where all of it has come; if not, `lane_wait` waits for more. What was sent goes then at the latest.
    [[nodiscard]] virtual std::optional<Answer> lane_take() = 0;
    virtual Coro<> lane_wait() = 0;
    /// Whether the next answer waits for others under its Sync.
    [[nodiscard]] virtual bool lane_shares_next() const noexcept = 0;
    virtual Coro<> leave_lane() = 0;
    /// After any of these has failed or was cancelled, in place of `leave_lane`: cancels in the server what is under way,
    /// all of it, or closes the session. Gives the failure with what is known of the outcome.
    virtual Coro<std::exception_ptr> end_lane(std::exception_ptr failure) = 0;

    /// Whether it failed because what the server had prepared is stale or gone; that is forgotten then.
    [[nodiscard]] virtual bool lane_stale(const std::string& sql, const Params& params,
                                          const std::exception_ptr& failure) = 0;
};

}  // namespace coaio::db::detail
