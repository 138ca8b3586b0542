// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/row.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::db::detail {

/// Some rows of many, copied together out of what libpq gives one by one.
class Chunk final : public ResultData {
public:
    struct OwnColumn {
        std::string name;
        Oid type = Oid::unspecified;
        Format format = Format::binary;
    };
    using Columns = std::vector<OwnColumn>;

    static constexpr std::size_t most_rows = 256;
    static constexpr std::size_t most_bytes = 64 * 1024;

    explicit Chunk(Columns columns) noexcept : columns_(std::move(columns)) {}

    /// Room for this many rows, as far as it is not too much to have for nothing.
    void reserve(std::size_t rows);
    [[nodiscard]] const Columns& columns() const noexcept { return columns_; }

    /// The next cell of the row in hand; NULL has no data.
    void put(std::string_view cell) {
        cells_.push_back({bytes_.size(), cell.data() == nullptr ? null : cell.size()});
        bytes_.append(cell);
    }
    void end_row() noexcept { ++rows_; }
    [[nodiscard]] bool full() const noexcept { return rows_ >= most_rows || bytes_.size() >= most_bytes; }

    [[nodiscard]] std::size_t row_count() const noexcept override { return rows_; }
    [[nodiscard]] std::size_t column_count() const noexcept override { return columns_.size(); }
    [[nodiscard]] Column column(std::size_t index) const noexcept override;
    void read(std::size_t row, std::span<const Place> places, std::string_view* values) const noexcept override;
    [[nodiscard]] std::string_view command() const noexcept override { return {}; }

private:
    struct Cell {
        std::size_t offset;
        std::size_t length;
    };
    static constexpr std::size_t null = static_cast<std::size_t>(-1);

    Columns columns_;
    std::string bytes_;
    std::vector<Cell> cells_;
    std::size_t rows_ = 0;
};

}  // namespace coaio::db::detail
