// SPDX-License-Identifier: MIT
#include "store/claim.hpp"

#include <chrono>
#include <string_view>

#include <coaio/core/sleep.hpp>
#include <coaio/db/array.hpp>

#include "store/crawls.hpp"
#include "store/settings.hpp"

namespace store {
namespace {

using namespace std::chrono_literals;
using coaio::db::Connection;

constexpr auto try_lock_again = 100ms;

constexpr std::string_view same_crawls =
    "select id, state from crawls where run_by = $1 and urls @> $2::text[] and urls <@ $2::text[] "
    "and settings - $4::text[] = $3::jsonb - $4::text[] order by id desc";

constexpr std::string_view holder =
    "select coalesce((select 'session ' || pid || ' of ' || coalesce(nullif(application_name, ''), 'a program') "
    "from pg_locks l join pg_stat_activity using (pid) where locktype = 'advisory' and granted "
    "and l.database = (select oid from pg_database where datname = current_database()) "
    "and classid::bigint = $1::bigint >> 32 and objid::bigint = $1::bigint & 4294967295 and objsubid = 1 limit 1), "
    "'a session')";

// Whoever begins anew does not want the old ones any more; those that still run are left alone.
coaio::Coro<> give_up(const Connection& session, std::int64_t id) {
    const auto mine = co_await try_to_hold(session, id);
    if (!mine) co_return;
    static_cast<void>(
        co_await session.execute("update crawls set state = 'cancelled', ended_at = now(), error = 'it was begun anew' "
                                 "where id = $1 and state in ('queued', 'running', 'failed')",
                                 id));
    co_await let_go(session, id);
}

// False where its end was asked for when nobody ran it.
coaio::Coro<bool> go_on(const Connection& session, std::int64_t id, const Wanted& wanted) {
    static_cast<void>(
        co_await session.execute("update crawls set state = 'queued' where id = $1 and state = 'failed'", id));
    const auto work = co_await take_up(session, id, by_program);
    if (!work) co_return false;
    static_cast<void>(co_await session.execute("update crawls set settings = $2 where id = $1", id, wanted.settings));
    co_return true;
}

bool is_open(std::string_view state) { return state == "queued" || state == "running" || state == "failed"; }

coaio::Coro<std::optional<Claimed>> find(const Connection& session, const Wanted& wanted, coaio::Duration lock_wait) {
    const auto same = co_await session.query(same_crawls, by_program, wanted.urls, wanted.settings, manners_settings());
    for (const auto row : same) {
        const auto id = row["id"].as<std::int64_t>();
        const bool open = is_open(row["state"].as<std::string_view>());
        if (wanted.fresh) {
            if (open) co_await give_up(session, id);
            continue;
        }
        if (!open) break;  // only the newest can go on
        const auto mine = co_await hold_within(session, id, lock_wait);
        if (!mine) {
            const auto who = co_await describe_holder(session, id);
            throw HeldElsewhere(named(id) + ", of the same addresses and settings, is run by another process, " + who +
                                "; wait for its end, or begin another crawl with --new-crawl");
        }
        const auto found = co_await go_on(session, id, wanted);
        if (found) co_return Claimed{id, true};
        co_await let_go(session, id);
        break;
    }
    co_return std::nullopt;
}

}  // namespace

std::string named(std::int64_t crawl) { return "crawl " + std::to_string(crawl); }

coaio::Coro<bool> hold_within(const Connection& session, std::int64_t crawl, coaio::Duration limit) {
    const auto until = coaio::Clock::now() + limit;
    for (;;) {
        const auto mine = co_await try_to_hold(session, crawl);
        if (mine || coaio::Clock::now() >= until) co_return mine;
        co_await coaio::sleep(try_lock_again);
    }
}

coaio::Coro<std::string> describe_holder(const Connection& session, std::int64_t crawl) {
    co_return co_await session.query_value<std::string>(holder, lock_of(crawl));
}

coaio::Coro<Claimed> find_or_make(const Connection& session, const Wanted& wanted, coaio::Duration lock_wait) {
    const auto found = co_await find(session, wanted, lock_wait);
    if (found) co_return *found;
    Claimed made;
    made.id = co_await session.query_value<std::int64_t>(
        "insert into crawls (urls, settings, run_by, state, started_at) values ($1, $2, $3, 'running', now()) "
        "returning id",
        wanted.urls, wanted.settings, by_program);
    const auto mine = co_await try_to_hold(session, made.id);
    if (!mine) throw HeldElsewhere(named(made.id) + " was taken before it began; try again");
    co_return made;
}

}  // namespace store
