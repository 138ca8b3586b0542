// SPDX-License-Identifier: MIT
#include "chunk.hpp"

#include <algorithm>

namespace coaio::db::detail {

void Chunk::reserve(std::size_t rows) {
    constexpr std::size_t bytes_of_cell = 8;
    const std::size_t cells = std::min(rows, most_rows) * columns_.size();
    cells_.reserve(cells);
    bytes_.reserve(cells * bytes_of_cell);
}

Column Chunk::column(std::size_t index) const noexcept {
    const OwnColumn& own = columns_[index];
    Column column;
    column.name = own.name;
    column.type = own.type;
    column.format = own.format;
    return column;
}

void Chunk::read(std::size_t row, std::span<const Place> places, std::string_view* values) const noexcept {
    const Cell* const cells = cells_.data() + row * columns_.size();
    for (const Place& place : places) {
        const Cell& cell = cells[place.column];
        *values++ =
            cell.length == null ? std::string_view() : std::string_view(bytes_.data() + cell.offset, cell.length);
    }
}

}  // namespace coaio::db::detail
