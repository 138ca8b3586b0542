// SPDX-License-Identifier: MIT
#include "store/schema.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <coaio/core/error.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/db/transaction.hpp>

namespace store {
namespace {

using namespace std::chrono_literals;

constexpr int version = 2;

// An address may be longer than what an index takes, so its hash stands for it.
constexpr std::string_view statements[] = {
    "create schema if not exists coaio",

    "create table if not exists schema_version (version int primary key)",

    "create table if not exists crawls ("
    " id bigint generated always as identity primary key,"
    " state text not null default 'queued' check (state in ('queued', 'running', 'done', 'cancelled', 'failed')),"
    " urls text[] not null,"
    " settings jsonb not null,"
    " cancel_requested boolean not null default false,"
    " error text not null default '',"
    " created_at timestamptz not null default now(),"
    " started_at timestamptz,"
    " ended_at timestamptz,"
    " done bigint not null default 0,"
    " failed bigint not null default 0,"
    " disallowed bigint not null default 0,"
    " waiting bigint not null default 0,"
    " bytes bigint not null default 0)",

    "create index if not exists crawls_open on crawls (id) where state in ('queued', 'running')",

    "create table if not exists pages ("
    " id bigint generated always as identity primary key,"
    " crawl_id bigint not null references crawls on delete cascade,"
    " xact xid8 not null default pg_current_xact_id(),"
    " url text not null,"
    " state text not null check (state in ('done', 'failed', 'disallowed')),"
    " status int not null,"
    " kind text not null,"
    " depth int not null,"
    " tries int not null,"
    " type text not null,"
    " size bigint not null,"
    " elapsed_ms bigint not null,"
    " error text not null,"
    " title text not null,"
    " lang text not null,"
    " canonical text not null,"
    " has_fragments boolean not null,"
    " fragments text[] not null,"
    " text text not null,"
    " fetched_at timestamptz not null default now(),"
    " search tsvector generated always as"
    "  (setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', text)) stored)",

    "create unique index if not exists pages_url on pages (crawl_id, md5(url))",
    "create index if not exists pages_keyset on pages (crawl_id, id)",
    "create index if not exists pages_commits on pages (crawl_id, xact, id)",
    "create index if not exists pages_bad on pages (crawl_id, id) where state = 'failed' or status >= 400",
    "create index if not exists pages_search on pages using gin (search)",

    "create table if not exists links ("
    " page_id bigint not null references pages on delete cascade,"
    " ordinal int not null,"
    " crawl_id bigint not null,"
    " target text not null,"
    " fragment text not null,"
    " kind text not null,"
    " nofollow boolean not null,"
    " line int not null,"
    " text text not null,"
    " primary key (page_id, ordinal))",

    "create index if not exists links_target on links (crawl_id, md5(target))",
    "create index if not exists links_fragments on links (crawl_id) where fragment <> ''",

    // Version 2: who runs a crawl, a coaio-server, or the one coaio-crawl that has it.
    "alter table crawls add column if not exists run_by text not null default 'server'",
};

coaio::Coro<bool> try_to_create(coaio::db::Transaction& transaction) {
    // Asked for again and again instead of waited for: a session that waits cannot be told from one that hangs.
    const auto mine = co_await transaction.query_value<bool>("select pg_try_advisory_xact_lock(7236833011)");
    if (!mine) co_return false;
    const auto there = co_await transaction.query_value<bool>("select to_regclass('coaio.schema_version') is not null");
    if (there) {
        const auto found =
            co_await transaction.query_value<std::optional<int>>("select max(version) from schema_version");
        if (found && *found > version) {
            throw coaio::Error("the database was set up by a newer coaio (schema " + std::to_string(*found) +
                               ", this one knows " + std::to_string(version) + "); use that, or another database");
        }
        if (found && *found == version) co_return true;
    }
    for (const std::string_view statement : statements) {
        static_cast<void>(co_await transaction.execute(statement));
    }
    static_cast<void>(
        co_await transaction.execute("insert into schema_version values ($1) on conflict do nothing", version));
    co_return true;
}

}  // namespace

coaio::db::PoolOptions pool_options(std::size_t max_size, std::string program) {
    coaio::db::PoolOptions options;
    options.max_size(max_size)
        .setting("search_path", "coaio, public")
        .setting("application_name", std::move(program))
        .setting("timezone", "UTC")
        .on_notice([](const coaio::db::ErrorFields&) {});
    return options;
}

coaio::Coro<> create_schema(coaio::db::Pool pool) {
    for (;;) {
        const auto done = co_await pool.transaction(try_to_create);
        if (done) co_return;
        co_await coaio::sleep(100ms);
    }
}

}  // namespace store
