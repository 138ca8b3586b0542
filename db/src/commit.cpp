// SPDX-License-Identifier: MIT
#include "commit.hpp"

#include "quote.hpp"

#include <coaio/db/values.hpp>

#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

namespace coaio::db::detail {

using namespace std::chrono_literals;

namespace {

constexpr Duration look_again = 1min;
constexpr Duration shortest_pause = 20ms;
constexpr Duration longest_pause = 1s;

// Of the script's body; the name of a table that holds it would end the body early.
constexpr const char* quotes = "$coaio$";

// In microseconds, since a time as text is read otherwise where DateStyle differs. Null after SET ROLE.
constexpr const char* started = "(extract(epoch from backend_start) * 1000000)::bigint";

// DO needs plpgsql; a table that a crash empties would answer "rolled back" for what was committed. A list of
// privileges would ask for any of them.
std::string find_table() {
    return std::string("select format('%I.%I', n.nspname, c.relname), coalesce(") + started +
           ", 0) from pg_class c join pg_namespace n on n.oid = c.relnamespace, "
           "pg_stat_get_activity(pg_backend_pid()) s where c.oid = to_regclass('coaio_commit') and "
           "c.relpersistence = 'p' and c.relkind in ('r', 'p') and has_table_privilege(c.oid, 'insert') and "
           "has_table_privilege(c.oid, 'select') and exists (select from pg_language l where lanname = 'plpgsql' and "
           "has_language_privilege(l.oid, 'usage'))";
}

// A transaction that only reads can have written to temporary tables, which need no token and take none. Whoever wrote
// elsewhere and declared it read-only then is refused.
constexpr const char* return_if_temporary =
    "if current_setting('transaction_read_only') = 'on' then if not exists (select from pg_locks l join pg_class c on "
    "c.oid = l.relation where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.mode not in "
    "('AccessShareLock', 'RowShareLock') and c.relpersistence <> 't') then return; end if; end if; ";

// RFC 9562, version 7: milliseconds first, so that old ones can be found and dropped; then a number of this process, so
// that no seed makes two alike.
Uuid new_uuid() {
    static std::atomic<std::uint16_t> counter{0};
    // lint-ok: clock the time of day, by which old tokens are found
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    const auto ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    const std::uint64_t high = ms << 16U | 0x7000U | (counter.fetch_add(1, std::memory_order_relaxed) & 0xFFFU);
    const std::uint64_t low = (get_running_loop().random() >> 2U) | std::uint64_t{1} << 63U;
    std::array<std::uint8_t, 16> bytes{};
    for (unsigned i = 0; i < 8; ++i) {
        bytes[i] = static_cast<std::uint8_t>(high >> (56U - 8U * i));
        bytes[8 + i] = static_cast<std::uint8_t>(low >> (56U - 8U * i));
    }
    return Uuid(bytes);
}

// Whoever holds up the answer is ended, if it is still the session that sent COMMIT.
Coro<> end_old_session(Link& link, const CommitToken& token) {
    try {
        co_await link.command(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid = " + std::to_string(token.pid) +
                " and " + started + " = " + std::to_string(token.backend_start),
            OnCancel::close);
    } catch (const Error& error) {
        if (!error.connection_good()) throw;
    }
}

// Of one pool's only two at a time, since a server that comes up has enough to do.
Coro<std::unique_ptr<Link>> connect_in_turn(Connector& connector) {
    const SemaphoreGuard turn = co_await connector.resolvers().scoped();
    std::unique_ptr<Link> link = co_await connector.connect();
    co_return std::move(link);
}

// The row says 'infinity' where it is the fence: one that an earlier try, whose answer was lost, has put up counts too.
Coro<Outcome> ask_on(Link& link, const CommitToken& token, Duration patience, bool end_it) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    co_await link.command("set lock_timeout = " + std::to_string(ms) +
                              "; set default_transaction_read_only = off; set default_transaction_isolation = 'read "
                              "committed'; set statement_timeout = 0",
                          OnCancel::close);
    if (end_it) co_await end_old_session(link, token);
    const std::string key = quote_literal(token.text);
    const Rows rows = co_await link.command("insert into " + token.table + " (token, at) values (" + key +
                                                ", 'infinity') on conflict do nothing; select at = 'infinity' from " +
                                                token.table + " where token = " + key,
                                            OnCancel::close);
    link.close();
    const auto fenced = rows.value<bool>();
    co_return fenced ? Outcome::rolled_back : Outcome::committed;
}

// A session that falls silent is given up in time for another one.
Coro<Outcome> ask(Connector& connector, const CommitToken& token, Duration patience, bool end_it) {
    const std::unique_ptr<Link> link = co_await connect_in_turn(connector);
    co_return co_await wait_for(ask_on(*link, token, patience, end_it), std::max<Duration>(2 * patience, 2s));
}

// Comments of the second kind nest in SQL.
std::string_view skip_comment(std::string_view sql) {
    if (sql.substr(0, 2) == "--") {
        const std::size_t end = sql.find('\n');
        return end == std::string_view::npos ? std::string_view() : sql.substr(end + 1);
    }
    int depth = 0;
    do {
        const std::string_view next = sql.substr(0, 2);
        if (next == "/*") ++depth;
        if (next == "*/") --depth;
        sql.remove_prefix(next == "/*" || next == "*/" ? 2 : 1);
    } while (depth > 0 && !sql.empty());
    return sql;
}

}  // namespace

std::string_view skip_to_word(std::string_view sql) noexcept {
    for (;;) {
        const std::size_t begin = sql.find_first_not_of(" \t\r\n\f\v;");
        if (begin == std::string_view::npos) return {};
        sql.remove_prefix(begin);
        if (sql.substr(0, 2) != "--" && sql.substr(0, 2) != "/*") return sql;
        sql = skip_comment(sql);
    }
}

std::string take_word(std::string_view& sql) {
    sql = skip_to_word(sql);
    std::string word;
    for (; !sql.empty(); sql.remove_prefix(1)) {
        const char c = sql.front();
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (lower < 'a' || lower > 'z') break;
        word += lower;
    }
    return word;
}

bool may_commit(std::string_view sql) {
    const std::string word = take_word(sql);
    if (word == "call" || word == "do") return true;
    if (word == "reindex") return true;
    constexpr std::array<std::string_view, 3> in_steps{"alter", "create", "drop"};
    constexpr std::string_view concurrently = "concurrently";
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::find(in_steps.begin(), in_steps.end(), word) != in_steps.end() &&
           !std::ranges::search(sql, concurrently, {}, lower).empty();
}

bool may_have_begun(const ErrorFields& failure) noexcept {
    // What is found before anything is called. The error of a last commit has no context.
    constexpr std::array<std::string_view, 3> before{"0A", "26", "42"};
    constexpr std::array<std::string_view, 2> refused{"25001", "25006"};  // in a transaction, or one that only reads
    const std::string_view state = failure.sqlstate;
    return !failure.where.empty() || (std::find(before.begin(), before.end(), state.substr(0, 2)) == before.end() &&
                                      std::find(refused.begin(), refused.end(), state) == refused.end());
}

bool begins_or_ends_transaction(std::string_view sql) {
    const std::string first = take_word(sql);
    if (first == "prepare") return take_word(sql) == "transaction";
    if (first == "rollback") {
        std::string next = take_word(sql);
        if (next == "work" || next == "transaction") next = take_word(sql);
        return next != "to";
    }
    constexpr std::array<std::string_view, 5> words{"begin", "start", "commit", "end", "abort"};
    return std::find(words.begin(), words.end(), first) != words.end();
}

bool ends_transaction(std::string_view sql) {
    const std::string word = take_word(sql);
    return word == "commit" || word == "end" || word == "prepare";
}

void refuse_chain(std::string_view sql) {
    const std::string word = take_word(sql);
    if (word != "commit" && word != "end" && word != "rollback" && word != "abort") return;
    std::string next = take_word(sql);
    if (next == "work" || next == "transaction") next = take_word(sql);
    if (next != "and" || take_word(sql) != "chain") return;
    throw UsageError("AND CHAIN would begin another transaction, which nobody could tell from this one: leave COMMIT "
                     "and ROLLBACK to the transaction's scope");
}

Coro<> find_commit_table(Link& link) {
    CommitTable& known = link.commit_table();
    if (known.looked && (known.usable() || Clock::now() - *known.looked < look_again)) co_return;
    Rows rows;
    bool answered = false;
    try {
        rows = co_await link.command(find_table(), OnCancel::wait);
        answered = true;
    } catch (const Error& error) {
        // Whatever else went wrong, such as a cancel from outside, says nothing of the table.
        const bool foreign = error.is("42") || error.is("0A");  // a server that is like Postgres, but not in this
        if (!error.connection_good() || !foreign) throw;
    }
    known.looked = Clock::now();
    known.name.clear();
    if (!answered) co_return;
    const auto found = rows.optional<std::string, std::int64_t>();
    if (!found || std::get<0>(*found).find(quotes) != std::string::npos) co_return;
    known.name = std::get<0>(*found);
    known.backend_start = std::get<1>(*found);
}

void doubt_commit_table(Link& link, const Error& failure) {
    if (failure.is("42") || failure.is("3F")) link.commit_table() = CommitTable();
}

CommitToken make_commit_token(const Link& link) {
    CommitToken token;
    token.table = link.commit_table().name;
    token.backend_start = link.commit_table().backend_start;
    token.text = new_uuid().to_string();
    token.pid = link.pid();
    return token;
}

std::string commit_script(const CommitToken& token) {
    return std::string("do ") + quotes + "begin if pg_current_xact_id_if_assigned() is not null then " +
           return_if_temporary + "insert into " + token.table + " (token) values (" + quote_literal(token.text) +
           "); end if; end" + quotes + "; commit";
}

Coro<Outcome> resolve_commit(std::shared_ptr<Connector> connector, CommitToken token, Duration limit) {
    const Duration patience = std::clamp<Duration>(limit / 4, 50ms, 5s);
    const TimePoint deadline = deadline_in(limit);
    Duration pause = shortest_pause;
    bool in_doubt = false;
    for (;;) {
        try {
            co_return co_await ask(*connector, token, patience, in_doubt);
        } catch (const Error& error) {
            if (error.is(sqlstate::lock_not_available)) {
                in_doubt = true;
            } else if (error.is("42") || error.is("28") || error.is(sqlstate::undefined_database)) {
                co_return Outcome::unknown;
            }
        } catch (const std::exception&) {  // it was silent, or could not be asked
        }
        const Duration left = deadline - Clock::now();
        if (left <= shortest_pause) co_return Outcome::unknown;
        const Duration most = std::min<Duration>(pause, left / 2);
        const auto random = static_cast<Duration::rep>(get_running_loop().random() >> 1U);
        co_await sleep(most / 2 + Duration(random % std::max<Duration::rep>(1, most.count() / 2)));
        pause = std::min<Duration>(pause * 2, longest_pause);
    }
}

}  // namespace coaio::db::detail
