// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/activity.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace coaio::db::detail {

/// The statement without what is quoted in it, which may be secret, and without comments: `select '…'`.
[[nodiscard]] std::string without_literals(std::string_view sql);

/// A statement that runs, for dumps of tasks. Its text outlives it.
class Running final : public Activity {
public:
    static constexpr int no_session = 0;  ///< it waits for a connection

    /// The first of `count`.
    Running(int pid, const std::string& sql, std::size_t count = 1) noexcept : pid_(pid), sql_(&sql), count_(count) {}
    [[nodiscard]] WaitInfo describe() const override;

private:
    int pid_;
    const std::string* sql_;
    std::size_t count_;
};

}  // namespace coaio::db::detail
