// SPDX-License-Identifier: MIT
#include "store/kept_crawl.hpp"

#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include <coaio/core/error.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/task_group.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/db/values.hpp>

#include "crawler/summary.hpp"
#include "store/claim.hpp"
#include "store/crawls.hpp"
#include "store/schema.hpp"
#include "store/settings.hpp"

namespace store {
namespace {

using namespace std::chrono_literals;
using coaio::db::Connection;

constexpr std::string_view program = "coaio-crawl";
constexpr auto note_every = 500ms;
constexpr auto note_deadline = 10s;
constexpr auto last_words_deadline = 10s;  // of a crawl that is interrupted
constexpr auto connection_wait = 5s;
constexpr auto claim_wait = 10s;
constexpr auto claim_deadline = 60s;
constexpr auto hold_again_wait = 5s;
constexpr auto hold_again_deadline = 8s;
// Programs look for their crawls one after the other, so that two do not make the same one: held meanwhile, in place of
// a crawl that has no such number.
constexpr std::int64_t looking = 0;

/// The end of the crawl was asked for in the database.
class EndAsked final : public coaio::Error {
public:
    using Error::Error;
};

/// Others have ended the crawl.
class EndedElsewhere final : public coaio::Error {
public:
    using Error::Error;
};

coaio::Coro<Connection> connect(std::string database) {
    const auto options = session_options(std::string(program));
    co_return co_await Connection::connect(database, options);
}

std::string was_cancelled(std::int64_t crawl) { return named(crawl) + " was cancelled in the database"; }

// Throws how a crawl that is not open any more has ended, unless it says what this process may have said itself.
coaio::Coro<> look_for_end(const Connection& session, std::int64_t id, std::string said) {
    const auto rows = co_await session.query("select state, cancel_requested from crawls where id = $1", id);
    if (rows.empty()) throw EndedElsewhere(named(id) + " was deleted from the database");
    const auto row = rows.front();
    if (row["state"].as<std::string_view>() == said) co_return;
    if (row["cancel_requested"].as<bool>()) throw EndedElsewhere(was_cancelled(id));
    throw EndedElsewhere(named(id) + " was ended by another process while the database was away");
}

}  // namespace

/// Tries again what failed because the database is away.
class KeptCrawl::PatientStore final : public PageStore {
public:
    PatientStore(coaio::db::Pool pool, const Claimed& crawl, Patience& patience, const Patience& lock)
        : PageStore(std::move(pool), crawl.id, crawl.resumed), patience_(&patience), lock_(&lock) {}

    coaio::Coro<std::vector<std::string>> known() override {
        auto urls = co_await PageStore::known();
        patience_->succeeded();
        co_return urls;
    }
    coaio::Coro<bool> recall(crawl::FinishedPage& page) override {
        const auto known = co_await PageStore::recall(page);
        patience_->succeeded();
        co_return known;
    }
    coaio::Coro<> commit(const crawl::FinishedPage& page) override {
        co_await PageStore::commit(page);
        patience_->succeeded();
    }
    // A page that takes too long while the database answers others would do so again.
    coaio::Coro<> recover(std::exception_ptr failure) override {
        if (is_timeout(failure) && !patience_->is_away() && !lock_->is_away()) std::rethrow_exception(failure);
        return patience_->after(std::move(failure));
    }

private:
    Patience* patience_;
    const Patience* lock_;
};

KeptCrawl::KeptCrawl(std::string database, KeepOptions keep)
    : database_(std::move(database)),
      pool_(database_, pool_options(keep.sessions, std::string(program)).acquire_timeout(connection_wait)),
      keep_(keep),
      patience_(keep.patience, "the database is away", "the database is back"),
      lock_patience_(keep.patience, "the connection to the database was lost",
                     "the connection to the database is back") {}

coaio::Coro<std::unique_ptr<KeptCrawl>> KeptCrawl::begin(crawl::Options options, KeepOptions keep) {
    std::unique_ptr<KeptCrawl> kept(new KeptCrawl(options.database_url, keep));
    auto claiming = kept->claim(options);
    bool late = false;
    try {
        co_await coaio::wait_for(std::move(claiming), claim_deadline);
    } catch (const coaio::TimeoutError&) {
        late = true;
    }
    if (late) throw coaio::Error("the database did not let the crawl begin within 1 m: see what its sessions wait for");
    co_return kept;
}

coaio::Coro<> KeptCrawl::claim(const crawl::Options& options) {
    session_ = co_await connect(database_);
    co_await create_schema(pool_);
    Wanted wanted;
    wanted.urls = urls_of(options);
    wanted.settings = coaio::db::Json(settings_of(options));
    wanted.fresh = options.new_crawl;
    const auto first = co_await hold_within(*session_, looking, claim_wait);
    if (!first) {
        const auto who = co_await describe_holder(*session_, looking);
        throw HeldElsewhere("another process, " + who + ", keeps all others from looking for their crawls; end it");
    }
    const auto claimed = co_await find_or_make(*session_, wanted, keep_.lock_wait);
    co_await let_go(*session_, looking);
    id_ = claimed.id;
    greeting_ = named(id_) + " begins";
    if (claimed.resumed) {
        co_await count_pages(*session_, id_);
        const auto pages = co_await session_->query_value<std::int64_t>(
            "select (done + failed + disallowed)::bigint from crawls where id = $1", id_);
        greeting_ = named(id_) + " goes on: " + std::to_string(pages) + (pages == 1 ? " page is" : " pages are") +
                    " in the database";
    }
    pages_ = std::make_unique<PatientStore>(pool_, claimed, patience_, lock_patience_);
}

coaio::Coro<> KeptCrawl::run(crawl::Crawler& crawler, Say say) {
    patience_.tell(say);
    lock_patience_.tell(std::move(say));
    std::exception_ptr failure;
    bool cancelled = false;
    try {
        const auto body = [&](coaio::TaskGroup& group) -> coaio::Coro<> {
            group.create_task(keep_up(crawler), {.name = "row of the crawl"});
            co_await crawler.run();
            over_.set();
        };
        co_await coaio::task_group(body);
    } catch (const coaio::CancelledError&) {
        cancelled = true;
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    if (cancelled) {
        co_await say_last_words(crawler, "queued", "it was interrupted; the same command goes on");
        throw coaio::CancelledError("the crawl is interrupted");
    }
    if (!failure) {
        co_await finish(crawler);
        co_return;
    }
    const std::string reason = crawl::one_line(reason_of(failure), 2000);
    if (holds<EndAsked>(failure)) {
        co_await say_last_words(crawler, "cancelled", "");
    } else if (!holds<HeldElsewhere>(failure) && !holds<EndedElsewhere>(failure) && !holds<DatabaseAway>(failure)) {
        co_await say_last_words(crawler, "failed", reason);
    }
    std::rethrow_exception(failure);
}

// What happens to the lock, and whether the end is asked for.
coaio::Coro<> KeptCrawl::keep_up(const crawl::Crawler& crawler) {
    while (!over_.is_set()) {
        std::exception_ptr failure;
        try {
            if (!session_) co_await hold_again();
            // A statement that is cancelled may cost the session, and the lock with it.
            auto noting = note(crawler);
            co_await coaio::masked(std::move(noting), {.deadline = note_deadline});
            lock_patience_.succeeded();
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        if (failure) {
            co_await lock_patience_.after(failure);
            continue;
        }
        try {
            co_await coaio::wait_for(over_.wait(), note_every);
        } catch (const coaio::TimeoutError&) {  // not yet
        }
    }
}

// The row is written by the session that holds the lock, so that without the lock nothing is written.
coaio::Coro<> KeptCrawl::note(const crawl::Crawler& crawler) {
    bool asked = false;
    try {
        asked = co_await save_progress(*session_, id_, crawler, *pages_);
    } catch (...) {
        session_.reset();
        throw;
    }
    if (asked) throw EndAsked(was_cancelled(id_));
}

coaio::Coro<> KeptCrawl::hold_again() {
    auto taking = take_back();
    co_await coaio::wait_for(std::move(taking), hold_again_deadline);
}

coaio::Coro<> KeptCrawl::take_back() {
    auto session = co_await connect(database_);
    const auto mine = co_await hold_within(session, id_, hold_again_wait);
    if (!mine) {
        const auto who = co_await describe_holder(session, id_);
        throw HeldElsewhere(named(id_) + " was taken by another process, " + who + ", while the database was away");
    }
    // Whoever had the lock meanwhile may have ended the crawl, or fetched pages.
    const auto work = co_await take_up(session, id_, by_program);
    if (!work) co_await look_for_end(session, id_, said_);
    pages_->resume();
    session_ = std::move(session);
}

coaio::Coro<> KeptCrawl::write_end(const crawl::Crawler& crawler, std::string state, std::string error) {
    if (!session_) co_await hold_again();
    try {
        static_cast<void>(co_await save_progress(*session_, id_, crawler, *pages_));
        said_ = state;
        co_await leave(*session_, id_, std::move(state), std::move(error));
    } catch (...) {
        session_.reset();
        throw;
    }
}

coaio::Coro<> KeptCrawl::finish(const crawl::Crawler& crawler) {
    for (;;) {
        std::exception_ptr failure;
        try {
            auto ending = write_end(crawler, "done", "");
            co_await coaio::masked(std::move(ending), {.deadline = last_words_deadline});
            lock_patience_.succeeded();
            co_return;
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        co_await lock_patience_.after(failure);
    }
}

// Nobody waits for them: where the database does not take them, the crawl is found as one whose process died.
coaio::Coro<> KeptCrawl::say_last_words(const crawl::Crawler& crawler, std::string state, std::string error) {
    // A session that has been lost shows only when it is used: then another one says it.
    for (int attempts = 2; attempts > 0; --attempts) {
        try {
            auto ending = write_end(crawler, state, error);
            co_await coaio::masked(std::move(ending), {.deadline = last_words_deadline});
            co_return;
        } catch (const std::exception&) {
            if (!is_passing(std::current_exception())) co_return;
        }
    }
}

coaio::Coro<int> crawl_and_keep(crawl::Options options, crawl::Fetcher& fetcher, crawl::Output output,
                                KeepOptions keep) {
    const auto kept = co_await KeptCrawl::begin(options, keep);
    if (!options.quiet) *output.log << kept->greeting() << '\n' << std::flush;
    const crawl::RunCrawler run = [&](crawl::Crawler& crawler, Say say) { return kept->run(crawler, std::move(say)); };
    auto crawling = crawl::crawl_sites(std::move(options), fetcher, output, &kept->store(), run);
    co_return co_await std::move(crawling);
}

}  // namespace store
