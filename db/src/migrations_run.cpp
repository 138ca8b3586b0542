// SPDX-License-Identifier: MIT
#include "migrations_run.hpp"

#include "migrations_script.hpp"
#include "quote.hpp"

#include <coaio/core/finally.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace coaio::db::detail {
namespace {

using namespace std::chrono_literals;
using State = MigrationStep::State;

// One for all sets of a database: "coaio" in ASCII.
constexpr std::int64_t lock_key = 0x636f61696f;
constexpr Duration poll_interval = 50ms;
constexpr Duration unlock_limit = 5s;

}  // namespace

MigrationRun::MigrationRun(MigrationPlan plan, Connection session)
    : plan_(std::move(plan)), session_(std::move(session)), book_("coaio_migration") {
    if (!plan_.schema.empty()) book_ = quote_identifier(plan_.schema) + "." + book_;
}

Coro<std::vector<MigrationStep>> MigrationRun::apply(MigrationPlan plan, Pool pool) {
    Connection session = co_await pool.acquire();
    MigrationRun run(std::move(plan), std::move(session));
    std::vector<MigrationStep> applied;
    auto body = [&run, &applied](Scope&) -> Coro<> { return run.apply_pending(applied); };
    std::exception_ptr failure;
    try {
        co_await run.locked(pool, body);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!applied.empty() || failure) pool.expire();  // a step may have left its settings in the session
    if (failure) std::rethrow_exception(failure);
    co_return applied;
}

Coro<std::vector<MigrationStep>> MigrationRun::plan(MigrationPlan plan, Pool pool) {
    Connection session = co_await pool.acquire();
    MigrationRun run(std::move(plan), std::move(session));
    co_await run.read_book();
    run.refuse_trouble();
    co_return run.pending();
}

Coro<std::vector<MigrationStep>> MigrationRun::status(MigrationPlan plan, Pool pool) {
    Connection session = co_await pool.acquire();
    MigrationRun run(std::move(plan), std::move(session));
    co_await run.read_book();
    co_return run.steps();
}

Coro<> MigrationRun::resolve(MigrationPlan plan, Pool pool, std::int64_t version, Migrations::Resolution resolution) {
    Connection session = co_await pool.acquire();
    MigrationRun run(std::move(plan), std::move(session));
    auto body = [&run, version, resolution](Scope&) -> Coro<> { return run.settle(version, resolution); };
    co_await run.locked(pool, body);
}

Coro<> MigrationRun::locked(Pool pool, std::function<Coro<>(Scope&)> body) {
    auto holding = [this, &body](Scope& scope) -> Coro<> {
        co_await hold();
        co_await body(scope);
    };
    auto cleanup = [this, &pool](Scope&) -> Coro<> {
        const bool freed = co_await let_go();
        if (!freed) pool.expire();  // the session that may still hold it is closed
    };
    co_await finally(holding, cleanup, {.deadline = unlock_limit + 1s});
}

// Polled, and not waited for in the server: a session that waits there keeps a snapshot, for which a concurrent build of
// an index waits in turn.
Coro<> MigrationRun::hold() {
    const TimePoint deadline = coaio::detail::later(Clock::now(), plan_.patience);
    for (;;) {
        may_hold_ = true;
        const bool mine = co_await session_.query_value<bool>("select pg_try_advisory_lock($1)", lock_key);
        if (mine) co_return;
        may_hold_ = false;
        if (Clock::now() >= deadline) {
            const std::string holder = co_await describe_holder();
            throw MigrationError("the migrations of this database are held by " + holder +
                                 "; wait until it is done, or end it");
        }
        const auto jitter = static_cast<std::int64_t>(get_running_loop().random() % 50);
        co_await sleep(poll_interval + std::chrono::milliseconds(jitter));
    }
}

Coro<bool> MigrationRun::let_go() {
    if (!may_hold_) co_return true;
    try {
        auto freeing = session_.query_value<bool>("select pg_advisory_unlock($1)", lock_key);
        const bool freed = co_await wait_for(std::move(freeing), unlock_limit);
        co_return freed;
    } catch (const std::exception&) {
        co_return false;
    }
}

Coro<std::string> MigrationRun::describe_holder() {
    co_return co_await session_.query_value<std::string>(
        "select coalesce((select 'session ' || pid || ' (' || application_name || ')' from pg_locks l "
        "join pg_stat_activity a using (pid) where locktype = 'advisory' and granted and objsubid = 1 "
        "and l.database = (select oid from pg_database where datname = current_database()) "
        "and classid::bigint = $1::bigint >> 32 and objid::bigint = $1::bigint & 4294967295 limit 1), 'a session')",
        lock_key);
}

// By its whole name from then on, since a step may set another search path.
Coro<bool> MigrationRun::find_book() {
    const Rows found = co_await session_.query(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.oid = to_regclass($1)",
        book_);
    if (found.empty()) co_return false;
    book_ = found.value<std::string>();
    co_return true;
}

// Asked first: whoever may not create tables can use those that are there.
Coro<> MigrationRun::make_book() {
    const bool there = co_await find_book();
    if (there) co_return;
    if (!plan_.schema.empty()) {
        const std::string schema = quote_identifier(plan_.schema);
        const bool made = co_await session_.query_value<bool>("select to_regnamespace($1) is not null", schema);
        if (!made) co_await session_.execute("create schema if not exists " + schema);
    }
    co_await session_.execute("create table if not exists " + book_ +
                              " (set_name text not null, version bigint not null, name text not null,"
                              " checksum text not null, begun_at timestamptz not null default now(),"
                              " applied_at timestamptz, error text not null default '',"
                              " primary key (set_name, version))");
    co_await find_book();
}

Coro<> MigrationRun::read_book() {
    std::vector<std::string> texts;
    texts.reserve(plan_.steps.size());
    for (const MigrationText& step : plan_.steps) texts.push_back(step.sql);
    const Rows sums = co_await session_.query(
        "select encode(sha256(convert_to(text, 'UTF8')), 'hex') from unnest($1::text[]) with ordinality as t(text, n) "
        "order by n",
        texts);
    checksums_ = sums.as<std::string>().to_vector();
    entries_.clear();
    const bool there = co_await session_.query_value<bool>("select to_regclass($1) is not null", book_);
    if (!there) co_return;
    const Rows rows = co_await session_.query(
        "select version, name, checksum, begun_at::text, coalesce(applied_at::text, ''), error from " + book_ +
            " where set_name = $1",
        plan_.set);
    for (const auto& [version, name, checksum, begun_at, applied_at, error] :
         rows.as<std::int64_t, std::string, std::string, std::string, std::string, std::string>()) {
        entries_[version] = Entry{name, checksum, begun_at, applied_at, error};
    }
}

std::vector<MigrationStep> MigrationRun::steps() const {
    std::vector<MigrationStep> steps;
    std::map<std::int64_t, Entry> rest = entries_;
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
        const MigrationText& text = plan_.steps[i];
        MigrationStep step{text.version, text.name, State::pending, ""};
        const auto entry = rest.find(text.version);
        if (entry != rest.end()) {
            step.applied_at = entry->second.applied_at;
            step.state = State::applied;
            if (entry->second.checksum != checksums_[i]) step.state = State::changed;
            if (step.applied_at.empty()) step.state = State::begun;
            rest.erase(entry);
        } else if (!entries_.empty() && entries_.rbegin()->first > text.version) {
            step.state = State::overtaken;
        }
        steps.push_back(std::move(step));
    }
    for (const auto& [version, entry] : rest) {
        steps.push_back(MigrationStep{version, entry.name, State::unknown, entry.applied_at});
    }
    std::sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.version < b.version; });
    return steps;
}

std::vector<MigrationStep> MigrationRun::pending() const {
    std::vector<MigrationStep> found = steps();
    std::erase_if(found, [](const MigrationStep& step) { return step.state != State::pending; });
    return found;
}

std::string MigrationRun::title(std::int64_t version, const std::string& name) const {
    return "migration " + std::to_string(version) + " (" + name + ") of set " + quote_identifier(plan_.set);
}

std::string MigrationRun::describe(const MigrationStep& step) const {
    const std::string which = title(step.version, step.name);
    switch (step.state) {
    case State::changed:
        return which + " was changed after it was applied at " + step.applied_at +
               ": restore its text, and put the change into a new one";
    case State::unknown:
        return which + " is in the database, and not in this program: the database was set up by a newer version";
    case State::overtaken: return which + " comes before one that is applied already: give it a later version";
    case State::begun: {
        const Entry& entry = entries_.at(step.version);
        std::string text = which + " was begun at " + entry.begun_at + ", without a transaction, and did not finish";
        if (!entry.error.empty()) text += " (" + entry.error + ")";
        return text + ": look at what it left, and say Migrations::resolve";
    }
    case State::pending:
    case State::applied: break;
    }
    return {};
}

void MigrationRun::refuse_trouble() const {
    std::string trouble;
    for (const MigrationStep& step : steps()) {
        const std::string words = describe(step);
        if (words.empty()) continue;
        if (!trouble.empty()) trouble += "; ";
        trouble += words;
    }
    if (!trouble.empty()) throw MigrationError(trouble);
}

Coro<> MigrationRun::apply_pending(std::vector<MigrationStep>& applied) {
    co_await make_book();
    co_await read_book();
    refuse_trouble();
    search_path_ = co_await session_.query_value<std::string>("select current_setting('search_path')");
    std::size_t i = 0;
    for (const MigrationText& step : plan_.steps) {
        const std::string& checksum = checksums_[i++];
        if (entries_.contains(step.version)) continue;
        co_await apply(step, checksum);
        co_await session_.execute("select set_config('search_path', $1, false)", search_path_);
        applied.push_back(MigrationStep{step.version, step.name, State::applied, ""});
    }
}

Coro<> MigrationRun::apply(const MigrationText& step, const std::string& checksum) {
    if (step.in_transaction) {
        co_await apply_in_transaction(step, checksum);
    } else {
        co_await apply_alone(step, checksum);
    }
}

Coro<> MigrationRun::apply_in_transaction(const MigrationText& step, const std::string& checksum) {
    std::size_t line = 0;
    auto body = [this, &step, &checksum, &line](Transaction& transaction) -> Coro<> {
        for (const ScriptStatement& statement : split_script(step.sql)) {
            line = statement.line;
            co_await transaction.execute(statement.sql);
        }
        line = 0;
        co_await transaction.execute(
            "insert into " + book_ + " (set_name, version, name, checksum, applied_at) values ($1, $2, $3, $4, now())",
            plan_.set, step.version, step.name, checksum);
    };
    try {
        co_await session_.transaction(body);
    } catch (const Error& error) {
        if (!error.connection_good()) throw;
        std::string where = title(step.version, step.name) + " failed and was rolled back";
        if (line > 0) where += ", line " + std::to_string(line);
        throw MigrationError(where, error);
    }
}

Coro<> MigrationRun::apply_alone(const MigrationText& step, const std::string& checksum) {
    co_await session_.execute("insert into " + book_ + " (set_name, version, name, checksum) values ($1, $2, $3, $4)",
                              plan_.set, step.version, step.name, checksum);
    std::optional<Error> failure;
    try {
        co_await session_.execute(split_script(step.sql).front().sql);
    } catch (const Error& error) {
        if (!error.connection_good()) throw;
        failure = error;
    }
    if (failure) {
        co_await write_error(step.version, failure->message());
        throw MigrationError(title(step.version, step.name) +
                                 " failed, without a transaction: look at what it left, and "
                                 "say Migrations::resolve",
                             *failure);
    }
    co_await session_.execute("update " + book_ + " set applied_at = now() where set_name = $1 and version = $2",
                              plan_.set, step.version);
}

Coro<> MigrationRun::write_error(std::int64_t version, std::string error) {
    co_await session_.execute("update " + book_ + " set error = $3 where set_name = $1 and version = $2", plan_.set,
                              version, error);
}

Coro<> MigrationRun::settle(std::int64_t version, Migrations::Resolution resolution) {
    co_await make_book();
    std::string sql = "update " + book_ + " set applied_at = now(), error = ''";
    if (resolution == Migrations::Resolution::again) sql = "delete from " + book_;
    const auto done = co_await session_.execute(sql + " where set_name = $1 and version = $2 and applied_at is null",
                                                plan_.set, version);
    if (done == 0) {
        throw MigrationError("migration " + std::to_string(version) + " of set " + quote_identifier(plan_.set) +
                             " is not one that was begun and did not finish");
    }
}

}  // namespace coaio::db::detail
