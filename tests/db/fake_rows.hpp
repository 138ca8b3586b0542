// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/row.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tests {

/// Rows that no server sent.
class FakeRows final : public coaio::db::detail::ResultData {
public:
    using Cell = std::optional<std::string>;
    struct FakeColumn {
        std::string name;
        coaio::db::Oid type;
        coaio::db::Format format = coaio::db::Format::text;
    };

    FakeRows(std::vector<FakeColumn> columns, std::vector<std::vector<Cell>> rows, std::string command = "SELECT")
        : columns_(std::move(columns)), rows_(std::move(rows)), command_(std::move(command)) {}

    [[nodiscard]] std::size_t row_count() const noexcept override { return rows_.size(); }
    [[nodiscard]] std::size_t column_count() const noexcept override { return columns_.size(); }
    [[nodiscard]] coaio::db::Column column(std::size_t i) const noexcept override {
        return {columns_[i].name, columns_[i].type, columns_[i].format};
    }
    void read(std::size_t r, std::span<const coaio::db::detail::Place> places,
              std::string_view* values) const noexcept override {
        for (const auto& place : places) {
            const Cell& cell = rows_[r][place.column];
            *values++ = cell ? std::string_view(*cell) : std::string_view();
        }
    }
    [[nodiscard]] std::string_view command() const noexcept override { return command_; }

private:
    std::vector<FakeColumn> columns_;
    std::vector<std::vector<Cell>> rows_;
    std::string command_;
};

inline coaio::db::Rows fake_rows(std::vector<FakeRows::FakeColumn> columns,
                                 std::vector<std::vector<FakeRows::Cell>> rows = {}, std::string command = "SELECT") {
    return coaio::db::Rows(std::make_shared<FakeRows>(std::move(columns), std::move(rows), std::move(command)));
}

}  // namespace tests
