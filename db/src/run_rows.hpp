// SPDX-License-Identifier: MIT
#pragma once

#include "chunk.hpp"
#include "libpq.hpp"

#include <coaio/db/row.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::db::detail {

/// What the runs of one statement answer. Small answers are copied together, since libpq takes kilobytes for each;
/// they live as long as one of them does.
class RunRows {
public:
    explicit RunRows(std::size_t runs) : answers_(runs) {}

    /// Some are sent. `alike`: by one prepared statement, which the server keeps to its columns.
    void begin(bool alike) noexcept {
        chunk_ = nullptr;
        alike_ = alike;
    }
    [[nodiscard]] static Rows take(const std::shared_ptr<RunRows>& self, std::size_t run, pq::Result result,
                                   Outcome outcome, const std::shared_ptr<const UserTypes>& types);

private:
    static constexpr std::size_t most_rows = 16;  // of one that is copied

    class Answer final : public ResultData {
    public:
        void set(const Chunk& chunk, std::size_t first, std::string_view command) noexcept {
            chunk_ = &chunk;
            first_ = first;
            count_ = chunk.row_count() - first;
            command_ = command;
        }
        [[nodiscard]] std::size_t row_count() const noexcept override { return count_; }
        [[nodiscard]] std::size_t column_count() const noexcept override { return chunk_->column_count(); }
        [[nodiscard]] Column column(std::size_t index) const noexcept override { return chunk_->column(index); }
        void read(std::size_t row, std::span<const Place> places, std::string_view* values) const noexcept override {
            chunk_->read(first_ + row, places, values);
        }
        [[nodiscard]] std::string_view command() const noexcept override { return command_; }

    private:
        const Chunk* chunk_ = nullptr;
        std::size_t first_ = 0;
        std::size_t count_ = 0;
        std::string_view command_;
    };

    /// Where the rows are copied to, after those with the same columns.
    [[nodiscard]] Chunk& chunk_for(const pq::Result& result, std::size_t alike);

    std::vector<Answer> answers_;
    std::vector<std::unique_ptr<Chunk>> chunks_;
    std::list<std::string> commands_;  // once for those that follow one another
    Chunk* chunk_ = nullptr;           // the last, while it goes on
    bool alike_ = false;
};

}  // namespace coaio::db::detail
