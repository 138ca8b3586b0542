// SPDX-License-Identifier: MIT
#include "link_pq.hpp"

#include <coaio/db/detail/user_types.hpp>

#include <algorithm>
#include <utility>

namespace coaio::db::detail {
namespace {

// What the wanted types are made of comes with them. Multiranges exist since 14.
constexpr const char* find_types_begin =
    "with recursive wanted(type) as (select pg_catalog.unnest($1::pg_catalog.oid[]) union select part.type from wanted "
    "join pg_catalog.pg_type t on t.oid = wanted.type, lateral (select t.typelem where t.typcategory = 'A' union all "
    "select t.typbasetype union all select r.rngsubtype from pg_catalog.pg_range r where ";
constexpr const char* find_types_middle =
    " union all select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and "
    "not "
    "a.attisdropped) part(type) where part.type >= 16384) "
    "select t.oid, case when t.typcategory = 'A' and t.typtype = 'b' then 'a' else t.typtype::pg_catalog.text end, "
    "pg_catalog.format_type(t.oid, null), coalesce(nullif(t.typbasetype, 0), (select r.rngsubtype from "
    "pg_catalog.pg_range r where ";
constexpr const char* find_types_end =
    "), t.typelem), (select pg_catalog.array_agg(a.attname::pg_catalog.text order by a.attnum) from "
    "pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), (select "
    "pg_catalog.array_agg(a.atttypid order by a.attnum) from pg_catalog.pg_attribute a where a.attrelid = t.typrelid "
    "and "
    "a.attnum > 0 and not a.attisdropped), coalesce((select e.typdelim from pg_catalog.pg_type e where e.oid = "
    "t.typelem), ',')::pg_catalog.text from wanted join pg_catalog.pg_type t on t.oid = wanted.type";

UserKind kind_by(std::string_view letter) {
    if (letter == "e") return UserKind::enumeration;
    if (letter == "c") return UserKind::composite;
    if (letter == "d") return UserKind::domain;
    if (letter == "r") return UserKind::range;
    if (letter == "m") return UserKind::multirange;
    if (letter == "a") return UserKind::array;
    return UserKind::base;
}

using Names = std::optional<std::vector<std::string>>;
using Types = std::optional<std::vector<Oid>>;

std::vector<UserType::Field> fields_of(const Names& names, const Types& types) {
    std::vector<UserType::Field> fields;
    if (!names || !types) return fields;
    for (std::size_t i = 0; i < std::min(names->size(), types->size()); ++i) {
        fields.push_back({names->at(i), types->at(i)});
    }
    return fields;
}

}  // namespace

Format PqLink::format_for(const std::vector<Oid>& columns) const {
    const bool all_known = std::all_of(columns.begin(), columns.end(), [this](Oid type) {
        return types_ ? types_->in_binary(type) : known_in_binary(type);
    });
    return all_known ? Format::binary : Format::text;
}

void PqLink::set_format(Prepared& statement, const std::vector<Oid>& columns) const {
    statement.results = format_for(columns);
    statement.user_types = std::any_of(columns.begin(), columns.end(), &is_user_made);
}

Coro<> PqLink::learn_types(std::vector<Oid> columns) {
    std::vector<Oid> wanted;
    for (const Oid type : columns) {
        if (is_user_made(type) && (!types_ || types_->find(type) == nullptr)) wanted.push_back(type);
    }
    if (wanted.empty()) co_return;
    const char* const of_range = version_ >= 140'000 ? "t.oid in (r.rngtypid, r.rngmultitypid)" : "t.oid = r.rngtypid";
    const std::string sql = std::string(find_types_begin) + of_range + find_types_middle + of_range + find_types_end;
    const Params params = Params::of(wanted);
    session_->send_query(sql, params, Format::text);
    in_flight_ = true;
    const Rows rows = co_await answer(sql);
    // Rows that were given out go on with what was known when they came.
    auto types = types_ ? std::make_shared<UserTypes>(*types_) : std::make_shared<UserTypes>();
    for (const auto& [type, kind, name, of, names, field_types, delimiter] :
         rows.as<Oid, std::string, std::string, Oid, Names, Types, std::string>()) {
        types->add(type, UserType(name, kind_by(kind), of, fields_of(names, field_types),
                                  delimiter.empty() ? ',' : delimiter.front()));
    }
    types_ = std::move(types);
}

Coro<std::vector<Oid>> PqLink::end_described(const std::string& sql) {
    session_->send_sync();
    ++syncs_;
    if (!session_->flush()) co_await flush();
    std::optional<ErrorFields> failure;
    std::vector<Oid> columns;
    while (syncs_ > 0) {
        const pq::Result result = co_await own_result();
        const pq::Kind kind = result.kind();
        if (kind == pq::Kind::error && !failure) failure = failure_of(result, sql);
        if (kind == pq::Kind::command) columns = result.column_types();
    }
    session_->exit_pipeline();
    in_flight_ = false;
    if (failure) throw_error(std::move(*failure));
    co_await learn_types(columns);
    co_return columns;
}

bool PqLink::unmet(const Rows& rows) const noexcept {
    const ResultData& data = rows.data();
    for (std::size_t i = 0; i < data.column_count(); ++i) {
        const Column column = data.column(i);
        if (column.format == Format::binary) return false;  // and so are all
        if (is_user_made(column.type) && (!data.types() || data.types()->find(column.type) == nullptr)) return true;
    }
    return false;
}

Coro<> PqLink::learn_types_of(std::vector<Rows> answers) {
    if (session_->transaction() == pq::TxStatus::failed) co_return;
    std::vector<Oid> columns;
    for (const Rows& rows : answers) {
        for (std::size_t i = 0; i < rows.column_count(); ++i) columns.push_back(rows.column(i).type);
    }
    // The rows are there, whoever is cancelled now.
    auto learning = learn_types(std::move(columns));
    const bool learned = co_await masked_attempt(std::move(learning), cancel_timeout_);
    if (!learned) {
        co_await recover(OnCancel::stop);
        co_return;
    }
    for (const Rows& rows : answers) rows.data().set_types(types_);
}

}  // namespace coaio::db::detail
