// SPDX-License-Identifier: MIT
// The pool and its transactions over a server that exists only here, under seeds and every cut.
#include "pool_state.hpp"
#include "use.hpp"

#include <coaio/db/connection.hpp>
#include <coaio/db/pool.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/timeout.hpp>

#include "core/world.hpp"
#include "db/fake_link.hpp"
#include "support/catch.hpp"

#include <map>
#include <stdexcept>
#include <string>

namespace db = coaio::db;
using coaio::Coro;
using db::detail::Lease;
using db::detail::PoolState;
using tests::draw;
using tests::expect;
using tests::FakeLink;
using tests::FakeServer;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t pool_size = 3;

/// A pool that some disturb; in the end it is whole, and works.
class PoolWorld : public tests::World {
public:
    PoolWorld() = default;
    ~PoolWorld() override { pool_->abandon(); }

    Coro<> settle() override {
        co_await all_over();
        server_->down = server_->silent = false;
        server_->loses = [] { return FakeServer::Loss::none; };
        if (draw(2) == 0) {
            co_await coaio::sleep(30s);  // longer than anything that is cleaned up or waited for may take
            expect_whole();
            co_await use_plainly();
            expect_whole();
        } else {  // while connections are opened, pinged and cleaned up
            for (int i = 0; i < 3; ++i) beside(use_until_closed());
            co_await tests::linger();
        }
        co_await pool_->close();
        co_await all_over();
        expect(server_->sessions == 0, "a session is left in the server");
        expect(pool_->statistics().size == 0, "a connection is left in the pool");
    }

protected:
    [[nodiscard]] FakeServer& server() noexcept { return *server_; }
    [[nodiscard]] PoolState& pool() noexcept { return *pool_; }

    Coro<> use_plainly() {
        const Lease lease = co_await pool_->acquire();
        co_await lease.link().run("select", db::Params());
    }

private:
    Coro<> use_until_closed() {
        try {
            for (int i = 0; i < 3; ++i) co_await use_plainly();
        } catch (const db::PoolClosed&) {}
    }

    void expect_whole() {
        const db::PoolStats stats = pool_->statistics();
        expect(stats.in_use == 0, "a connection is in use by nobody");
        expect(stats.waiting == 0, "a waiter is counted that is gone");
        expect(stats.opening == 0 && stats.cleaning == 0, "something is opened or cleaned for ever");
        expect(stats.idle == stats.size && stats.size <= pool_size, "the pool is not whole");
        expect(server_->sessions == stats.size, "the server has other sessions than the pool");
        expect(server_->most_sessions <= pool_size, "there were more sessions than the pool may have");
        expect(server_->mixed_up == 0, "a connection was used by two, or handed out in a transaction");
    }

    static db::PoolOptions options() {
        return db::PoolOptions().max_size(pool_size).acquire_timeout(2s).ping_after(5ms);
    }
    std::shared_ptr<FakeServer> server_ = std::make_shared<FakeServer>();
    std::shared_ptr<PoolState> pool_ =
        std::make_shared<PoolState>(std::make_unique<tests::FakeConnector>(server_), options().pool_values(), 2s);
};

/// Connections are used well and badly, and the server is down, silent or slow at times.
class CrowdWorld final : public PoolWorld {
public:
    Coro<> victim() override {
        for (int i = 0; i < 6; ++i) fragile(visit());
        beside(upset());
        co_await visit();
    }

private:
    Coro<> visit() {
        for (int i = 0; i < 4; ++i) {
            co_await tests::linger();
            const coaio::Duration patience = draw(4) == 0 ? coaio::Duration(1ms * draw(8)) : coaio::Duration(1s);
            const auto began = coaio::Clock::now();
            try {
                co_await coaio::wait_for(use(), patience);
            } catch (const db::Error&) {
            } catch (const coaio::TimeoutError&) {}
            // A ping, which is not cut short, takes two seconds at most.
            expect(coaio::Clock::now() - began <= patience + 3s, "a cancel took too long");
        }
    }

    Coro<> use() {
        const Lease lease = co_await pool().acquire();
        auto& link = static_cast<FakeLink&>(lease.link());
        const std::size_t how = draw(6);
        if (how < 2) co_await link.command("begin", db::detail::OnCancel::wait);
        co_await tests::linger();
        if (how == 1) co_await link.command("commit", db::detail::OnCancel::close);
        if (how == 2) link.vanish();
        if (how == 3) link.close();
        if (how > 3) co_await link.run("select", db::Params());
    }

    Coro<> upset() {
        for (int i = 0; i < 6; ++i) {
            co_await tests::linger();
            switch (draw(5)) {
            case 0: server().down = !server().down; break;
            case 1: server().silent = !server().silent; break;
            case 2: server().connect_time = 1ms * draw(50); break;
            case 3: server().statement_time = 1ms * draw(4); break;
            default: pool().expire();
            }
        }
        server().down = server().silent = false;
    }
};

/// Transactions whose connections get lost at any statement, COMMIT and the look-ups for it among them: each is
/// committed just when it says so.
class CommitWorld final : public PoolWorld {
public:
    CommitWorld() {
        server().has_tokens = true;
        server().loses = [] { return draw(6) == 0 ? FakeServer::Loss(1 + draw(3)) : FakeServer::Loss::none; };
    }

    Coro<> victim() override {
        for (int i = 0; i < 4; ++i) fragile(write_some());
        co_await write_some();
    }

    Coro<> settle() override {
        co_await PoolWorld::settle();
        for (const auto& [row, acknowledged] : acknowledged_) {
            const auto found = server().rows.find(row);
            const int times = found == server().rows.end() ? 0 : found->second;
            if (acknowledged && times != 1) throw std::logic_error(row + " was acknowledged and is not there");
            if (!acknowledged && times != 0) throw std::logic_error(row + " was not acknowledged and is there");
        }
    }

private:
    Coro<> write_some() {
        for (int i = 0; i < 4; ++i) {
            co_await tests::linger();
            const std::string row = "row " + std::to_string(acknowledged_.size());
            acknowledged_[row] = false;
            try {
                co_await write(row);
                acknowledged_[row] = true;
            } catch (const std::out_of_range&) {
            } catch (const db::Error& error) {
                expect(error.outcome() != db::Outcome::unknown, "an outcome stayed unknown");
            }
        }
    }

    Coro<> write(std::string row) {
        Lease lease = co_await pool().acquire();
        const db::Connection connection(
            std::make_shared<db::detail::Use>(std::move(lease), db::detail::CommitValues(), 2s));
        auto body = [&row](db::Transaction& tx) -> Coro<> {
            co_await tx.query(row);
            co_await tests::linger();
            if (draw(6) == 0) throw std::out_of_range("better not");
        };
        co_await connection.transaction(body);
    }

    std::map<std::string, bool> acknowledged_;
};

}  // namespace

TEST_CASE(
    "POL-01 POL-02 POL-07 POL-16: a pool under 200 seeds and every cut is whole in the end, whatever was done to it") {
    tests::prove<CrowdWorld>({.seeds = 200});
}

TEST_CASE("CMT-01 CMT-04 CMT-07: transactions under 200 seeds and every cut are committed just when they say so") {
    tests::prove<CommitWorld>({.seeds = 200});
}
