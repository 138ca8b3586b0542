// SPDX-License-Identifier: MIT
#include <coaio/db/copy.hpp>

#include "path.hpp"
#include "text.hpp"

#include <coaio/db/detail/user_types.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

namespace coaio::db::detail {
namespace {

constexpr std::string_view binary_header("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
constexpr std::string_view binary_trailer("\377\377", 2);

/// How the bytes of a parameter become those of a column.
enum class Fit : unsigned char { none, as_is, integer, integer_as_numeric, wider_float, jsonb, numeric };

bool is_integer(Oid type) { return type == Oid::int2 || type == Oid::int4 || type == Oid::int8; }

bool takes_text(Oid type) {
    switch (type) {
    case Oid::text:
    case Oid::varchar:
    case Oid::bpchar:
    case Oid::name:
    case Oid::json:
    case Oid::xml:
    case Oid::unknown: return true;
    default: return false;
    }
}

Fit fit(Oid type, Format format, Oid column, bool text_fits) {
    if (format == Format::text) {
        if (type == Oid::numeric) return column == Oid::numeric ? Fit::numeric : Fit::none;
        if (type != Oid::unspecified) return Fit::none;
        if (column == Oid::jsonb) return Fit::jsonb;
        return text_fits ? Fit::as_is : Fit::none;
    }
    if (type == column) return Fit::as_is;
    if (is_integer(type) && is_integer(column)) return Fit::integer;
    if (is_integer(type) && column == Oid::numeric) return Fit::integer_as_numeric;
    if (type == Oid::float4 && column == Oid::float8) return Fit::wider_float;
    return Fit::none;
}

std::int64_t integer_of(std::string_view bytes) {
    Decoder in(bytes);
    if (bytes.size() == 2) return in.get_int16();
    if (bytes.size() == 4) return in.get_int32();
    return in.get_int64();
}

template <class T>
T narrowed(std::int64_t value, Oid type) {
    if (std::in_range<T>(value)) return static_cast<T>(value);
    throw ValueError("a number out of the range of " + type_name(type));
}

void put_integer(std::int64_t value, Oid column, Encoder& out) {
    if (column == Oid::int2) return out.put_int16(narrowed<std::int16_t>(value, column));
    if (column == Oid::int4) return out.put_int32(narrowed<std::int32_t>(value, column));
    out.put_int64(value);
}

/// "users (id, name)" as a select of these columns, for their types. Empty where none are named.
std::string columns_query(std::string_view target) {
    bool quoted = false;
    for (std::size_t i = 0; i < target.size(); ++i) {
        if (target[i] == '"') quoted = !quoted;
        if (quoted || target[i] != '(') continue;
        const std::size_t end = target.rfind(')');
        if (end == std::string_view::npos || end < i) break;
        return "select " + std::string(target.substr(i + 1, end - i - 1)) + " from " +
               std::string(target.substr(0, i)) + " limit 0";
    }
    return {};
}

/// What is known of columns of types that users made. Enums and what is like text, such as citext, take text in binary.
constexpr const char* find_types =
    "select oid, pg_catalog.format_type(oid, null), typtype = 'e' or (typtype = 'b' and typcategory = 'S') from "
    "pg_catalog.pg_type where oid = any($1)";

/// Of the columns that COPY fills where none are named: not those that the server generates.
constexpr const char* find_columns =
    "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute where attrelid = $1::regclass and "
    "attnum > 0 and not attisdropped and attgenerated = ''";

Coro<std::string> all_columns_query(PqLink& link, const std::string& target) {
    const std::string from = " from " + target + " limit 0";
    if (link.server_version() < 120'000) co_return "select *" + from;
    const std::string sql = find_columns;
    const Params name = Params::of(target);
    const Rows rows = co_await link.run_once(sql, name, Format::text);
    const auto names = rows.value<std::optional<std::string>>();
    co_return "select " + names.value_or(std::string()) + from;
}

std::exception_ptr cancelled_write() {
    ErrorFields fields;
    fields.message = "a write of this COPY was cancelled, so nothing of it is stored";
    fields.outcome = Outcome::rolled_back;
    return std::make_exception_ptr(Error(std::move(fields)));
}

}  // namespace

CopySink::CopySink(std::shared_ptr<Path> path, std::string sql) : path_(std::move(path)), sql_(std::move(sql)) {}

CopySink::~CopySink() {
    PqLink* const link = path_->raw();
    if (open_ && link != nullptr) link->leave();
}

Coro<> CopySink::begin() {
    co_await Path::open(path_);
    co_await path_->link().begin_copy(sql_, PqLink::CopyWay::to_server);
    open_ = true;
}

Coro<> CopySink::begin_rows(std::string target) {
    co_await Path::open(path_);
    std::string query = columns_query(target);
    if (query.empty()) query = co_await all_columns_query(path_->link(), target);
    const Params none;
    const Rows like = co_await path_->link().run_once(query, none, Format::text);
    co_await learn_columns(like);
    sql_ = "copy " + target + " from stdin (format binary)";
    co_await begin();
    buffer_ = binary_header;
}

Coro<> CopySink::learn_columns(Rows like) {
    std::vector<Oid> users;
    for (std::size_t i = 0; i < like.column_count(); ++i) {
        const Column column = like.column(i);
        columns_.push_back({std::string(column.name), column.type, type_name(column.type), takes_text(column.type)});
        if (is_user_made(column.type)) users.push_back(column.type);
    }
    if (users.empty()) co_return;
    const std::string sql = find_types;
    const Params wanted = Params::of(users);
    const Rows found = co_await path_->link().run_once(sql, wanted, Format::text);
    for (const auto& [type, name, text] : found.as<Oid, std::string, bool>()) {
        for (ToColumn& column : columns_) {
            if (column.type != type) continue;
            column.type_name = name;
            column.takes_text = text;
        }
    }
}

Coro<> CopySink::send() {
    if (failure_) std::rethrow_exception(failure_);
    if (!open_) throw UsageError("the COPY is over: write to it while its body runs, and await each write");
    const Step step(sending_, "COPY");
    PqLink& link = path_->link();
    const std::string out = std::exchange(buffer_, std::string());
    buffer_.reserve(piece + piece / 4);
    if (out.empty()) co_return;
    std::exception_ptr failure;
    try {
        co_await link.put_copy(out);
    } catch (const BaseException&) {
        failure = std::current_exception();
        failure_ = cancelled_write();
    } catch (...) {
        failure = failure_ = std::current_exception();
    }
    const bool given_up = !open_;
    if (given_up) {
        link.leave();
        link.close();
        path_->close();
    }
    if (failure) {
        open_ = false;
        std::rethrow_exception(failure);
    }
    if (given_up) throw UsageError("the COPY was given up while this write ran: await each write in its body");
}

Coro<std::uint64_t> CopySink::finish() {
    std::exception_ptr failure;
    try {
        if (sending_) throw UsageError("a write of the COPY still runs at the end of its body: await it");
        if (!columns_.empty()) buffer_ += binary_trailer;
        co_await send();
        const Step step(sending_, "COPY");
        const std::uint64_t rows = co_await path_->link().end_copy();
        open_ = false;
        path_->close();
        co_return rows;
    } catch (...) {
        failure = std::current_exception();
    }
    co_await abort();
    std::rethrow_exception(failure);
}

Coro<> CopySink::abort() {
    PqLink* const link = path_->raw();
    const bool open = std::exchange(open_, false);
    if (link != nullptr && sending_) {
        link->close();  // whoever sends still works with it, and gives it back
        co_return;
    }
    if (open && link != nullptr) {
        link->leave();
        co_await masked_attempt(link->settle(), std::chrono::seconds(30));  // which has a time limit of its own
    }
    path_->close();
}

void CopySink::begin_row(std::size_t cells) {
    row_at_ = buffer_.size();
    Encoder(buffer_).put_int16(static_cast<std::int16_t>(cells));
}

void CopySink::expect_columns(std::size_t count) const {
    if (columns_.size() == count) return;
    throw ConversionError("the rows to copy have " + std::to_string(count) + " values, and their target " +
                              std::to_string(columns_.size()) + " columns",
                          "", ConversionError::no_row, Outcome::rolled_back);
}

void CopySink::check(std::size_t column, Oid type, Format format, const std::string& name) const {
    const ToColumn& to = columns_.at(column);
    if (fit(type, format, to.type, to.takes_text) != Fit::none) return;
    throw ConversionError("column \"" + to.name + "\" is of type " + to.type_name + " and cannot be copied from " +
                              name + " in binary",
                          to.name, ConversionError::no_row, Outcome::rolled_back);
}

void CopySink::refuse(std::size_t column, const std::string& problem) const {
    throw ParameterError(column + 1, "column \"" + columns_.at(column).name + "\": " + problem);
}

void CopySink::end_cell(std::size_t column, std::size_t at, Oid type, Format format) {
    const Oid to = columns_.at(column).type;
    const Fit how = fit(type, format, to, columns_.at(column).takes_text);
    if (how != Fit::as_is) {
        const std::string bytes = buffer_.substr(at + 4);
        buffer_.resize(at + 4);
        Encoder out(buffer_);
        try {
            switch (how) {
            case Fit::integer: put_integer(integer_of(bytes), to, out); break;
            case Fit::integer_as_numeric: numeric_to_binary(std::to_string(integer_of(bytes)), out); break;
            case Fit::numeric: numeric_to_binary(bytes, out); break;
            case Fit::jsonb: out.put_bytes("\1" + bytes); break;
            case Fit::wider_float: {
                const auto bits = static_cast<std::uint32_t>(integer_of(bytes));
                const auto wide = static_cast<double>(std::bit_cast<float>(bits));
                out.put_int64(std::bit_cast<std::int64_t>(wide));
                break;
            }
            default: throw ValueError("the value does not fit");
            }
        } catch (const ValueError& error) {
            refuse(column, error.what());
        }
    }
    const std::size_t length = buffer_.size() - at - 4;
    if (length > Encoder::most_bytes) refuse(column, "the value is larger than 1 GB");
    Encoder(buffer_).patch_int32(at, static_cast<std::int32_t>(length));
}

std::shared_ptr<CopySink> open_copy(std::shared_ptr<Path> path, std::string sql) {
    return std::make_shared<CopySink>(std::move(path), std::move(sql));
}

Coro<> send_if_full(std::shared_ptr<CopySink> sink) {
    if (sink->full()) co_await sink->send();
}

class CopySource {
public:
    CopySource(std::shared_ptr<Path> path, std::string sql) : path_(std::move(path)), sql_(std::move(sql)) {}
    CopySource(const CopySource&) = delete;
    CopySource& operator=(const CopySource&) = delete;
    ~CopySource() { leave(); }

    static Coro<std::optional<std::string>> next(std::shared_ptr<CopySource> self) {
        const Step step(self->stepping_, "COPY");
        if (self->state_ == State::failed) {
            throw UsageError("the COPY has failed, was cancelled or was closed: it has no more rows");
        }
        if (self->state_ == State::ended) co_return std::nullopt;
        std::exception_ptr failure;
        try {
            if (self->state_ == State::fresh) {
                co_await Path::open(self->path_);
                co_await self->path_->link().begin_copy(self->sql_, PqLink::CopyWay::from_server);
                self->state_ = State::open;
            }
            auto piece = co_await self->path_->link().next_copy();
            if (!piece) self->finish(State::ended);
            co_return piece;
        } catch (...) {
            failure = std::current_exception();
        }
        self->leave();
        self->finish(State::failed);
        std::rethrow_exception(failure);
    }

    static Coro<> close(std::shared_ptr<CopySource> self) {
        const Step step(self->stepping_, "COPY");
        PqLink* const link = self->path_->raw();
        self->leave();
        self->state_ = State::failed;
        if (link != nullptr) co_await link->settle();
        self->path_->close();
    }

private:
    enum class State : unsigned char { fresh, open, ended, failed };

    void leave() noexcept {
        PqLink* const link = path_->raw();
        if (state_ == State::open && link != nullptr) link->leave();
    }
    void finish(State state) noexcept {
        state_ = state;
        path_->close();
    }

    std::shared_ptr<Path> path_;
    std::string sql_;
    State state_ = State::fresh;
    bool stepping_ = false;
};

std::shared_ptr<CopySource> open_copy_out(std::shared_ptr<Path> path, std::string sql) {
    return std::make_shared<CopySource>(std::move(path), std::move(sql));
}

Coro<std::optional<std::string>> next_copy(std::shared_ptr<CopySource> source) {
    return CopySource::next(std::move(source));
}
Coro<> close_copy(std::shared_ptr<CopySource> source) { return CopySource::close(std::move(source)); }

}  // namespace coaio::db::detail
