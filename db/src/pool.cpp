// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include "connect.hpp"
#include "lanes.hpp"
#include "path.hpp"
#include "pool_state.hpp"
#include "use.hpp"

#include <utility>

namespace coaio::db {
namespace detail {

/// What the copies of a `Pool` share; with the last one goes the pool.
class PoolHandle {
public:
    PoolHandle(std::unique_ptr<Connector> connector, const PoolOptions& options)
        : state(std::make_shared<PoolState>(std::move(connector), options.pool_values(),
                                            options.connect_values().cancel_timeout,
                                            options.connect_values().on_notice)),
          lanes(std::make_shared<Lanes>(state, options.pool_values(), options.connect_values().statement_cache)),
          commit(options.connect_values().commit),
          cancel_timeout(options.connect_values().cancel_timeout) {}
    PoolHandle(const PoolHandle&) = delete;
    PoolHandle& operator=(const PoolHandle&) = delete;
    ~PoolHandle() { state->abandon(); }

    std::shared_ptr<PoolState> state;
    std::shared_ptr<Lanes> lanes;
    CommitValues commit;
    Duration cancel_timeout;
};

}  // namespace detail

namespace {

Coro<Pool> open_pool(Pool pool, std::shared_ptr<detail::PoolHandle> handle) {
    co_await handle->state->open_first();
    co_return std::move(pool);
}

}  // namespace

Pool::Pool(std::string_view url, PoolOptions options)
    : handle_(std::make_shared<detail::PoolHandle>(std::make_unique<detail::PqConnector>(url, options.connect_values()),
                                                   options)) {}

Coro<Pool> Pool::connect(std::string_view url, PoolOptions options) {
    Pool pool(url, std::move(options));
    auto handle = pool.handle_;
    return open_pool(std::move(pool), std::move(handle));
}

Coro<Connection> Pool::acquire(std::source_location where) const { return acquire_from(*this, where); }

Coro<Connection> Pool::acquire_from(Pool pool, std::source_location where) {
    detail::PoolHandle& handle = *pool.handle_;
    detail::Lease lease = co_await handle.state->acquire(where);
    co_return Connection(std::make_shared<detail::Use>(std::move(lease), handle.commit, handle.cancel_timeout));
}

Coro<Rows> Pool::run_statement(std::string sql, Params params) const {
    // The lanes, and the pool with them for as long as it runs.
    std::shared_ptr<detail::Lanes> lanes(handle_, handle_->lanes.get());
    return detail::Lanes::run(std::move(lanes), std::move(sql), std::move(params));
}

std::shared_ptr<detail::Path> Pool::path() const { return std::make_shared<detail::Path>(handle_->state, handle_); }

Coro<> Pool::close() const { return close_down(*this); }

Coro<> Pool::close_down(Pool pool) {
    pool.handle_->state->require_loop();
    pool.handle_->lanes->close();
    co_await pool.handle_->state->close();
}

std::shared_ptr<detail::Connector> Pool::connector() const { return handle_->state->connector(); }

void Pool::expire() const { handle_->state->expire(); }

std::string Pool::dump() const { return handle_->state->dump(); }

PoolStats Pool::statistics() const {
    PoolStats stats = handle_->state->statistics();
    stats.waiting += handle_->lanes->waiting();
    return stats;
}

}  // namespace coaio::db
