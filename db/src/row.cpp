// SPDX-License-Identifier: MIT
#include <coaio/db/row.hpp>

#include <coaio/db/detail/user_types.hpp>

#include <charconv>

namespace coaio::db {
namespace {

class NoRows final : public detail::ResultData {
public:
    [[nodiscard]] std::size_t row_count() const noexcept override { return 0; }
    [[nodiscard]] std::size_t column_count() const noexcept override { return 0; }
    [[nodiscard]] Column column(std::size_t) const noexcept override { return {}; }
    void read(std::size_t, std::span<const detail::Place>, std::string_view*) const noexcept override {}
    [[nodiscard]] std::string_view command() const noexcept override { return {}; }
};

std::string in_quotes(std::string_view name) { return "\"" + std::string(name) + "\""; }

std::string counted(std::size_t count, const char* thing) {
    return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

std::string column_and_row(const Column& column, std::size_t row) {
    return "column " + in_quotes(column.name) + " (" + type_name(column.type) + "), row " + std::to_string(row);
}

}  // namespace

Rows::Rows() {
    static const NoRows none;
    data_ = std::shared_ptr<const detail::ResultData>(std::shared_ptr<const void>(), &none);  // owned by nobody
}

Column Rows::column(std::size_t index) const {
    if (index < column_count()) return data_->column(index);
    throw ConversionError("no column " + std::to_string(index) + ": there are " + std::to_string(column_count()), "",
                          ConversionError::no_row, data_->outcome());
}

Row Rows::at(std::size_t row) const {
    if (row < size()) return {*data_, row};
    throw ConversionError("no row " + std::to_string(row) + ": there are " + std::to_string(size()), "",
                          ConversionError::no_row, data_->outcome());
}

Field Row::at(std::size_t column) const {
    if (column < size()) return {*data_, row_, column};
    throw ConversionError("no column " + std::to_string(column) + ": there are " + std::to_string(size()), "", row_,
                          data_->outcome());
}

std::uint64_t Rows::affected() const noexcept {
    std::string_view tag = command();
    std::size_t space = tag.rfind(' ');
    if (space == std::string_view::npos) return 0;
    tag.remove_prefix(space + 1);
    std::uint64_t count = 0;
    auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), count);
    return error == std::errc() && end == tag.data() + tag.size() ? count : 0;
}

namespace detail {

ResultData::~ResultData() = default;

std::optional<std::string_view> ResultData::value(std::size_t row, std::size_t column) const noexcept {
    const Place place{column};
    std::string_view bytes;
    read(row, std::span(&place, 1), &bytes);
    if (bytes.data() == nullptr) return std::nullopt;
    return bytes;
}

void conversion_failed(const ResultData& data, std::size_t row, std::size_t column, const std::string& type,
                       const std::string& problem) {
    Column c = data.column(column);
    throw ConversionError(column_and_row(c, row) + " as " + type + ": " + problem, std::string(c.name), row,
                          data.outcome());
}

void null_in(const ResultData& data, std::size_t row, std::size_t column, const std::string& type) {
    Column c = data.column(column);
    throw ConversionError(column_and_row(c, row) + " is NULL and was read as " + type + "; use std::optional<" + type +
                              ">",
                          std::string(c.name), row, data.outcome());
}

void wrong_type(const ResultData& data, std::size_t column, const std::string& type) {
    Column c = data.column(column);
    std::string text = "column " + in_quotes(c.name) + " is of type " + type_description(c.type, data.types()) +
                       " and cannot be read as " + type;
    const bool of_a_zone =
        type.find("sys_time") != std::string::npos || type.find("db::Timestamp") != std::string::npos;
    if (c.type == Oid::timestamp && of_a_zone) {
        text += "; read it as std::chrono::local_time or coaio::db::LocalTimestamp, or select it at time zone 'UTC'";
    } else if (c.format == Format::binary && type.find("std::string") != std::string::npos) {
        text += " in its binary form; select it as ::text";
    }
    throw ConversionError(text, std::string(c.name), ConversionError::no_row, data.outcome());
}

void expect_columns(const ResultData& data, std::size_t wanted) {
    if (data.column_count() == wanted) return;
    throw ConversionError("the result has " + counted(data.column_count(), "column") + " and was read as " +
                              std::to_string(wanted),
                          "", ConversionError::no_row, data.outcome());
}

void expect_rows(const ResultData& data, std::size_t at_least, std::size_t at_most) {
    std::size_t count = data.row_count();
    if (count >= at_least && count <= at_most) return;
    throw ConversionError("the result has " + counted(count, "row") + " where " +
                              (at_least == at_most ? "exactly one was" : "at most one was") + " expected",
                          "", ConversionError::no_row, data.outcome());
}

std::size_t find_column(const ResultData& data, std::string_view name) {
    std::size_t found = data.column_count();
    for (std::size_t i = 0; i < data.column_count(); ++i) {
        if (data.column(i).name != name) continue;
        if (found != data.column_count()) {
            throw ConversionError("two columns are named " + in_quotes(name), std::string(name),
                                  ConversionError::no_row, data.outcome());
        }
        found = i;
    }
    if (found != data.column_count()) return found;
    std::string names;
    for (std::size_t i = 0; i < data.column_count(); ++i) {
        names += (i == 0 ? "" : ", ") + in_quotes(data.column(i).name);
    }
    throw ConversionError("no column is named " + in_quotes(name) + "; there are: " + names, std::string(name),
                          ConversionError::no_row, data.outcome());
}

}  // namespace detail
}  // namespace coaio::db
