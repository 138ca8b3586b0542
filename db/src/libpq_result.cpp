// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include "chunk.hpp"
#include "frame_allocator.hpp"

#include <libpq-fe.h>

#include <charconv>
#include <cstring>

namespace coaio::db::pq {
namespace {

Format format_of(const PGresult* result, int column) noexcept {
    return PQfformat(result, column) == 1 ? Format::binary : Format::text;
}

// Without data where it is NULL.
std::string_view cell(const PGresult* result, int row, int column) noexcept {
    const int length = PQgetlength(result, row, column);  // 0 also of NULL
    if (length == 0 && PQgetisnull(result, row, column) != 0) return {};
    return std::string_view(PQgetvalue(result, row, column), static_cast<std::size_t>(length));
}

class PgRows final : public detail::ResultData {
public:
    explicit PgRows(PGresult* owned) noexcept : result_(owned) {}
    ~PgRows() override { PQclear(result_); }

    [[nodiscard]] std::size_t row_count() const noexcept override {
        return static_cast<std::size_t>(PQntuples(result_));
    }
    [[nodiscard]] std::size_t column_count() const noexcept override {
        return static_cast<std::size_t>(PQnfields(result_));
    }
    [[nodiscard]] Column column(std::size_t index) const noexcept override {
        int i = static_cast<int>(index);
        Column column;
        const char* name = PQfname(result_, i);
        column.name = name != nullptr ? name : "";
        column.type = static_cast<Oid>(PQftype(result_, i));
        column.format = format_of(result_, i);
        return column;
    }
    void read(std::size_t row, std::span<const detail::Place> places,
              std::string_view* values) const noexcept override {
        PGresult* const result = result_;
        for (std::size_t i = 0; i < places.size(); ++i) {
            values[i] = cell(result, static_cast<int>(row), static_cast<int>(places[i].column));
        }
    }
    [[nodiscard]] std::string_view command() const noexcept override { return PQcmdStatus(result_); }

private:
    PGresult* result_;
};

std::string field(const PGresult* result, int code) {
    const char* text = PQresultErrorField(result, code);
    return text != nullptr ? text : "";
}

}  // namespace

void Result::Free::operator()(pg_result* result) const noexcept { PQclear(result); }

Kind Result::kind() const noexcept {
    switch (PQresultStatus(result_.get())) {
    case PGRES_COMMAND_OK: return Kind::command;
    case PGRES_TUPLES_OK: return Kind::rows;
    case PGRES_SINGLE_TUPLE: return Kind::single_row;
    case PGRES_EMPTY_QUERY: return Kind::empty;
    case PGRES_COPY_IN: return Kind::copy_in;
    case PGRES_COPY_OUT: return Kind::copy_out;
    case PGRES_PIPELINE_SYNC: return Kind::sync;
    case PGRES_PIPELINE_ABORTED: return Kind::aborted;
    case PGRES_BAD_RESPONSE:
    case PGRES_FATAL_ERROR: return Kind::error;
    default: return Kind::other;
    }
}

ErrorFields Result::error(const pg_conn* connection) const {
    const PGresult* result = result_.get();
    ErrorFields fields;
    fields.severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    fields.sqlstate = field(result, PG_DIAG_SQLSTATE);
    fields.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    fields.detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    fields.hint = field(result, PG_DIAG_MESSAGE_HINT);
    fields.where = field(result, PG_DIAG_CONTEXT);
    fields.schema = field(result, PG_DIAG_SCHEMA_NAME);
    fields.table = field(result, PG_DIAG_TABLE_NAME);
    fields.column = field(result, PG_DIAG_COLUMN_NAME);
    fields.datatype = field(result, PG_DIAG_DATATYPE_NAME);
    fields.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    std::string position = field(result, PG_DIAG_STATEMENT_POSITION);
    std::from_chars(position.data(), position.data() + position.size(), fields.position);

    const bool ends = fields.severity == "FATAL" || fields.severity == "PANIC" || PQstatus(connection) != CONNECTION_OK;
    // Of class 08 as a session's last words: those of a pooler, which does not know what its server has done.
    const bool in_doubt = fields.sqlstate == sqlstate::completion_unknown || fields.sqlstate == "08007" ||
                          (ends && fields.sqlstate.starts_with("08"));
    const bool lost = ends || in_doubt;
    fields.connection_good = !lost;
    fields.outcome = in_doubt || (fields.sqlstate.empty() && lost) ? Outcome::unknown : Outcome::rolled_back;
    if (fields.message.empty()) {
        fields.message = PQresultErrorMessage(result);
        while (!fields.message.empty() && fields.message.back() == '\n') fields.message.pop_back();
    }
    if (fields.message.empty()) fields.message = "the server's answer could not be understood";
    return fields;
}

Rows Result::take_rows(Outcome outcome, std::shared_ptr<const detail::UserTypes> types) && {
    auto rows = std::allocate_shared<PgRows>(detail::FrameAllocator<PgRows>(), result_.get());
    (void)result_.release();
    rows->set_outcome(outcome);
    if (types) rows->set_types(std::move(types));
    return Rows(std::move(rows));
}

std::vector<Oid> Result::column_types() const {
    std::vector<Oid> types;
    types.reserve(static_cast<std::size_t>(PQnfields(result_.get())));
    for (int i = 0; i < PQnfields(result_.get()); ++i) types.push_back(static_cast<Oid>(PQftype(result_.get(), i)));
    return types;
}

std::vector<Oid> Result::parameter_types() const {
    std::vector<Oid> types;
    types.reserve(static_cast<std::size_t>(PQnparams(result_.get())));
    for (int i = 0; i < PQnparams(result_.get()); ++i) types.push_back(static_cast<Oid>(PQparamtype(result_.get(), i)));
    return types;
}

std::size_t Result::column_count() const noexcept { return static_cast<std::size_t>(PQnfields(result_.get())); }
std::size_t Result::row_count() const noexcept { return static_cast<std::size_t>(PQntuples(result_.get())); }

std::string_view Result::command() const noexcept { return PQcmdStatus(result_.get()); }

bool Result::has_columns_of(const detail::Chunk& chunk) const noexcept {
    const PGresult* const result = result_.get();
    if (chunk.column_count() != column_count()) return false;
    for (int i = 0; i < PQnfields(result); ++i) {
        const detail::Chunk::OwnColumn& column = chunk.columns()[static_cast<std::size_t>(i)];
        if (column.type != static_cast<Oid>(PQftype(result, i)) || column.format != format_of(result, i) ||
            column.name != PQfname(result, i)) {
            return false;
        }
    }
    return true;
}

std::unique_ptr<detail::Chunk> Result::make_chunk(std::size_t alike) const {
    detail::Chunk::Columns columns;
    for (int i = 0; i < PQnfields(result_.get()); ++i) {
        detail::Chunk::OwnColumn column;
        column.name = PQfname(result_.get(), i);
        column.type = static_cast<Oid>(PQftype(result_.get(), i));
        column.format = format_of(result_.get(), i);
        columns.push_back(std::move(column));
    }
    auto chunk = std::make_unique<detail::Chunk>(std::move(columns));
    chunk->reserve(alike * row_count());
    return chunk;
}

void Result::copy_rows(detail::Chunk& chunk) const {
    const PGresult* const result = result_.get();
    const int columns = PQnfields(result);
    const int rows = PQntuples(result);
    for (int row = 0; row < rows; ++row) {
        for (int i = 0; i < columns; ++i) chunk.put(cell(result, row, i));
        chunk.end_row();
    }
}

bool Result::copy_binary() const noexcept { return PQbinaryTuples(result_.get()) != 0; }

}  // namespace coaio::db::pq
