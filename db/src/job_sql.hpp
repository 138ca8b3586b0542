// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

/// The statements of the job queue. Every change of a job that is held repeats who may make it: the state, and the
/// attempt, which no two takers share.
namespace coaio::db::detail::job_sql {

// A job that is done leaves the table, so that it stays small. `key_held`: 0 until taken, 1 until done or dead, 2 until
// it is gone; when that is over the key itself goes.
inline constexpr std::string_view tables = R"(
create table coaio_job (
    id bigint generated always as identity primary key,
    queue text not null,
    state text not null default 'ready' check (state in ('ready', 'running', 'dead')),
    priority int not null,
    run_at timestamptz not null,
    attempt int not null default 0,
    failures int not null default 0,
    max_attempts int not null,
    lease_until timestamptz,
    worker text,
    key text,
    key_held smallint not null,
    created_at timestamptz not null default now(),
    errors text[] not null default '{}',
    payload jsonb not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
create index coaio_job_ready on coaio_job (queue, priority, run_at, id) where state = 'ready';
create index coaio_job_lease on coaio_job (lease_until) where state = 'running';
create index coaio_job_dead on coaio_job (queue, run_at) where state = 'dead';
create unique index coaio_job_key on coaio_job (queue, key) where key is not null;
)";

// In the order of the keys, so that two that put the same ones wait for each other one way only.
inline constexpr std::string_view put =
    "insert into coaio_job (queue, payload, priority, run_at, max_attempts, key, key_held) "
    "select $1, payload::jsonb, priority, coalesce(at, now() + coalesce(delay, 0) * interval '1 millisecond'), "
    "max_attempts, key, held from unnest($2::text[], $3::int[], $4::timestamptz[], $5::bigint[], $6::int[], "
    "$7::text[], "
    "$8::smallint[]) with ordinality as given (payload, priority, at, delay, max_attempts, key, held, n) "
    "order by key, n on conflict (queue, key) where key is not null do nothing returning id";

// Materialized: as a mere subquery it could be run again for every row, and take more than the limit.
inline constexpr std::string_view claim =
    "with picked as materialized (select id from coaio_job where queue = $1 and state = 'ready' and run_at <= now() "
    "order by priority, run_at, id limit $2 for update skip locked), "
    "taken as (update coaio_job j set state = 'running', attempt = j.attempt + 1, "
    "lease_until = now() + $3 * interval '1 millisecond', worker = $4, "
    "key = case when j.key_held = 0 then null else j.key end from picked where j.id = picked.id "
    "returning j.id, j.attempt, j.failures, j.max_attempts, j.payload, j.priority, j.run_at) "
    "select id, attempt, failures, max_attempts, payload from taken order by priority, run_at, id";

inline constexpr std::string_view complete =
    "delete from coaio_job j using unnest($1::bigint[], $2::int[]) as given (id, attempt) "
    "where j.id = given.id and j.attempt = given.attempt and j.state = 'running' returning j.id";

inline constexpr std::string_view complete_one =
    "delete from coaio_job where id = $1 and attempt = $2 and state = 'running'";

// The other ends: back to be run later, or dead.
inline constexpr std::string_view put_back =
    "update coaio_job j set state = given.state, run_at = now() + given.delay * interval '1 millisecond', "
    "failures = j.failures + given.counted::int, lease_until = null, worker = null, "
    "key = case when given.state = 'dead' and j.key_held < 2 then null else j.key end, "
    "errors = case when given.error is null then j.errors else j.errors[greatest(1, cardinality(j.errors) - 18):] || "
    "('attempt ' || j.attempt || ', ' || to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC: ' || "
    "given.error) end "
    "from unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::text[], $6::bool[]) "
    "as given (id, attempt, state, delay, error, counted) "
    "where j.id = given.id and j.attempt = given.attempt and j.state = 'running' returning j.id";

// A row that is locked is left for the next time: its handler's own transaction may be about to end it. What is not
// given back at all is not held any more.
inline constexpr std::string_view renew =
    "with given as materialized (select * from unnest($1::bigint[], $2::int[]) as g (id, attempt)), "
    "mine as materialized (select j.id from coaio_job j join given g on j.id = g.id and j.attempt = g.attempt "
    "where j.state = 'running' for update of j skip locked), "
    "renewed as (update coaio_job j set lease_until = now() + $3 * interval '1 millisecond' from mine "
    "where j.id = mine.id returning j.id) "
    "select j.id, j.attempt, renewed.id is not null from coaio_job j "
    "join given g on j.id = g.id and j.attempt = g.attempt left join renewed on renewed.id = j.id "
    "where j.state = 'running'";

// It looks at the jobs alone. The row's lock is taken with the condition, and the condition stands in the update again.
inline constexpr std::string_view reap =
    "with over as materialized (select id from coaio_job where state = 'running' and lease_until < now() "
    "order by lease_until limit 1000 for update skip locked) "
    "update coaio_job j set state = case when j.failures + 1 >= j.max_attempts then 'dead' else 'ready' end, "
    "failures = j.failures + 1, run_at = now(), lease_until = null, worker = null, "
    "key = case when j.failures + 1 >= j.max_attempts and j.key_held < 2 then null else j.key end, "
    "errors = j.errors[greatest(1, cardinality(j.errors) - 18):] || "
    "('attempt ' || j.attempt || ', ' || to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || "
    "' UTC: no sign of life from ' || coalesce(j.worker, 'its worker')) "
    "from over where j.id = over.id and j.state = 'running' and j.lease_until < now() returning j.queue";

inline constexpr std::string_view has_ready =
    "select exists (select from coaio_job where queue = $1 and state = 'ready' and run_at <= now())";

inline constexpr std::string_view counts_by_queue =
    "select count(*) filter (where state = 'ready' and run_at <= now()), "
    "count(*) filter (where state = 'ready' and run_at > now()), count(*) filter (where state = 'running'), "
    "count(*) filter (where state = 'dead'), "
    "coalesce((extract(epoch from now() - min(run_at) filter (where state = 'ready' and run_at <= now())) * 1000)"
    "::bigint, 0), queue from coaio_job group by queue";

inline constexpr std::string_view counts =
    "select count(*) filter (where state = 'ready' and run_at <= now()), "
    "count(*) filter (where state = 'ready' and run_at > now()), count(*) filter (where state = 'running'), "
    "count(*) filter (where state = 'dead'), "
    "coalesce((extract(epoch from now() - min(run_at) filter (where state = 'ready' and run_at <= now())) * 1000)"
    "::bigint, 0) from coaio_job where queue = $1";

inline constexpr std::string_view health =
    "select coalesce((select n_dead_tup from pg_stat_user_tables where relid = 'coaio_job'::regclass), 0), "
    "coalesce((extract(epoch from now() - oldest.xact_start) * 1000)::bigint, 0), coalesce(oldest.who, '') "
    "from (select) as one left join lateral (select xact_start, "
    "'session ' || pid || ' (' || coalesce(application_name, '') || '): ' || coalesce(left(query, 100), '') as who "
    "from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid() and backend_type <> "
    "'autovacuum worker' order by xact_start limit 1) as oldest on true";

// Of several workers one at a time does it. A role that may not is told so by a warning; then autovacuum has to do.
inline constexpr std::string_view clean = "vacuum (skip_locked, truncate off) coaio_job";

inline constexpr std::string_view dead =
    "select id, payload, failures, errors from coaio_job where queue = $1 and state = 'dead' "
    "order by run_at desc, id desc limit $2";

inline constexpr std::string_view revive = "update coaio_job set state = 'ready', failures = 0, run_at = now() "
                                           "where id = $1 and queue = $2 and state = 'dead'";

inline constexpr std::string_view remove = "delete from coaio_job where id = $1 and queue = $2";

}  // namespace coaio::db::detail::job_sql
