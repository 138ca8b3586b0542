// SPDX-License-Identifier: MIT
#pragma once

#include "chunk.hpp"
#include "libpq.hpp"

#include <coaio/db/row.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace coaio::db::detail {

/// What the runs of one statement answer. Small answers are copied together, since libpq takes kilobytes for each;
/// they live as long as one of them does.
class RunRows : public std::enable_shared_from_this<RunRows> {
public:
    explicit RunRows(std::size_t runs) : answers_(runs) {}

    [[nodiscard]] Rows take(std::size_t run, pq::Result result, Outcome outcome,
                            const std::shared_ptr<const UserTypes>& types);

private:
    static constexpr std::size_t most_rows = 16;  // of one that is copied

    class Answer final : public ResultData {
    public:
        void set(std::shared_ptr<const Chunk> chunk, std::size_t first, std::string command) {
            chunk_ = std::move(chunk);
            first_ = first;
            count_ = chunk_->row_count() - first;
            command_ = std::move(command);
        }
        [[nodiscard]] std::size_t row_count() const noexcept override { return count_; }
        [[nodiscard]] std::size_t column_count() const noexcept override { return chunk_->column_count(); }
        [[nodiscard]] Column column(std::size_t index) const noexcept override { return chunk_->column(index); }
        [[nodiscard]] std::optional<std::string_view> value(std::size_t row,
                                                            std::size_t column) const noexcept override {
            return chunk_->value(first_ + row, column);
        }
        [[nodiscard]] std::string_view command() const noexcept override { return command_; }

    private:
        std::shared_ptr<const Chunk> chunk_;
        std::size_t first_ = 0;
        std::size_t count_ = 0;
        std::string command_;
    };

    std::vector<Answer> answers_;
    std::shared_ptr<Chunk> chunk_;  // of those that had the same columns of late
};

}  // namespace coaio::db::detail
