// SPDX-License-Identifier: MIT
#include "store/schema.hpp"

#include <string>
#include <string_view>
#include <utility>

#include <coaio/db/migrations.hpp>

namespace store {
namespace {

// "If not exists": databases that were made before there was a book have these tables. An address may be longer than what
// an index takes, so its hash stands for it.
constexpr std::string_view tables = R"(
create table if not exists crawls (
 id bigint generated always as identity primary key,
 state text not null default 'queued' check (state in ('queued', 'running', 'done', 'cancelled', 'failed')),
 urls text[] not null,
 settings jsonb not null,
 cancel_requested boolean not null default false,
 error text not null default '',
 created_at timestamptz not null default now(),
 started_at timestamptz,
 ended_at timestamptz,
 done bigint not null default 0,
 failed bigint not null default 0,
 disallowed bigint not null default 0,
 waiting bigint not null default 0,
 bytes bigint not null default 0);
create index if not exists crawls_open on crawls (id) where state in ('queued', 'running');
create table if not exists pages (
 id bigint generated always as identity primary key,
 crawl_id bigint not null references crawls on delete cascade,
 xact xid8 not null default pg_current_xact_id(),
 url text not null,
 state text not null check (state in ('done', 'failed', 'disallowed')),
 status int not null,
 kind text not null,
 depth int not null,
 tries int not null,
 type text not null,
 size bigint not null,
 elapsed_ms bigint not null,
 error text not null,
 title text not null,
 lang text not null,
 canonical text not null,
 has_fragments boolean not null,
 fragments text[] not null,
 text text not null,
 fetched_at timestamptz not null default now(),
 search tsvector generated always as
  (setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', text)) stored);
create unique index if not exists pages_url on pages (crawl_id, md5(url));
create index if not exists pages_keyset on pages (crawl_id, id);
create index if not exists pages_commits on pages (crawl_id, xact, id);
create index if not exists pages_bad on pages (crawl_id, id) where state = 'failed' or status >= 400;
create index if not exists pages_search on pages using gin (search);
create table if not exists links (
 page_id bigint not null references pages on delete cascade,
 ordinal int not null,
 crawl_id bigint not null,
 target text not null,
 fragment text not null,
 kind text not null,
 nofollow boolean not null,
 line int not null,
 text text not null,
 primary key (page_id, ordinal));
create index if not exists links_target on links (crawl_id, md5(target));
create index if not exists links_fragments on links (crawl_id) where fragment <> '';
-- Crawls had no such column at first.
alter table crawls add column if not exists run_by text not null default 'server';
)";

// The partial indexes are what workers look for: what waits, where a crawl began, how often a path was asked with a query.
constexpr std::string_view shared_crawls = R"(
create table hosts (
 host text primary key,
 job bigint not null default 0,
 attempt int not null default 0);
create table frontier (
 id bigint generated always as identity primary key,
 crawl_id bigint not null references crawls on delete cascade,
 host text not null,
 url text not null,
 kind text not null,
 depth int not null,
 hops int not null,
 start boolean not null,
 tries int not null default 0,
 done boolean not null default false);
create unique index frontier_url on frontier (crawl_id, md5(url));
create index frontier_waiting on frontier (host, crawl_id, id) where not done;
create index frontier_starts on frontier (crawl_id) where start;
create index frontier_queries on frontier (crawl_id, host) where strpos(url, '?') > 0;
alter table crawls add column accepted bigint not null default 0;
)";

coaio::db::Migrations steps() {
    coaio::db::Migrations steps("crawls");
    steps.schema("coaio").add(1, "crawls, pages and links", tables).add(2, "crawls that workers share", shared_crawls);
    return steps;
}

coaio::Coro<> apply(coaio::db::Migrations migrations, coaio::db::Pool pool) {
    const auto applied = co_await migrations.run(std::move(pool));
    static_cast<void>(applied);
}

template <class Options>
Options set_up(Options options, std::string program) {
    options.setting("search_path", "coaio, public")
        .setting("application_name", std::move(program))
        .setting("timezone", "UTC")
        .setting("idle_in_transaction_session_timeout", "60s")
        .setting("tcp_keepalives_idle", "30")
        .setting("tcp_keepalives_interval", "10")
        .setting("tcp_keepalives_count", "3")
        .on_notice([](const coaio::db::ErrorFields&) {});
    return options;
}

}  // namespace

coaio::db::PoolOptions pool_options(std::size_t max_size, std::string program) {
    return set_up(coaio::db::PoolOptions().max_size(max_size), std::move(program));
}

coaio::db::ConnectOptions session_options(std::string program) {
    return set_up(coaio::db::ConnectOptions(), std::move(program));
}

coaio::Coro<> create_schema(coaio::db::Pool pool) { return apply(steps(), std::move(pool)); }

}  // namespace store
