// SPDX-License-Identifier: MIT
#include "chunk.hpp"

#include <algorithm>

namespace coaio::db::detail {

void Chunk::reserve(std::size_t rows) {
    constexpr std::size_t bytes_of_cell = 8;
    const std::size_t cells = std::min(rows, most_rows) * columns_->size();
    cells_.reserve(cells);
    bytes_.reserve(cells * bytes_of_cell);
}

void Chunk::put(std::optional<std::string_view> cell) {
    if (!cell) {
        cells_.push_back({0, null});
        return;
    }
    cells_.push_back({bytes_.size(), cell->size()});
    bytes_.append(*cell);
}

Column Chunk::column(std::size_t index) const noexcept {
    const OwnColumn& own = (*columns_)[index];
    Column column;
    column.name = own.name;
    column.type = own.type;
    column.format = own.format;
    return column;
}

std::optional<std::string_view> Chunk::value(std::size_t row, std::size_t column) const noexcept {
    const Cell& cell = cells_[row * columns_->size() + column];
    if (cell.length == null) return std::nullopt;
    return std::string_view(bytes_.data() + cell.offset, cell.length);
}

}  // namespace coaio::db::detail
