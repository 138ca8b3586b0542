// SPDX-License-Identifier: MIT
#include <coaio/db/connection.hpp>

#include "connect.hpp"
#include "path.hpp"
#include "use.hpp"

#include <utility>

namespace coaio::db {
namespace {

Coro<Connection> open_alone(std::shared_ptr<detail::Connector> connector, ConnectOptions options) {
    auto link = co_await connector->connect();
    detail::Lease lease(std::move(link), std::move(connector));
    const auto& values = options.connect_values();
    co_return Connection(std::make_shared<detail::Use>(std::move(lease), values.commit, values.cancel_timeout));
}

}  // namespace

namespace detail {

Coro<std::uint64_t> read_affected(Coro<Rows> answer) {
    const Rows rows = co_await std::move(answer);
    co_return rows.affected();
}

}  // namespace detail

Coro<Connection> Connection::connect(std::string_view url, ConnectOptions options) {
    auto connector = std::make_shared<detail::PqConnector>(url, options.connect_values());
    return open_alone(std::move(connector), std::move(options));
}

Connection& Connection::operator=(Connection&& other) noexcept {
    if (this != &other) {
        release();
        use_ = std::move(other.use_);
    }
    return *this;
}

Connection::~Connection() { release(); }

void Connection::release() noexcept {
    if (use_) use_->release();
}

const std::shared_ptr<detail::Use>& Connection::use() const {
    if (!use_) throw UsageError("the connection was moved from");
    return use_;
}

int Connection::pid() const { return use()->look().pid(); }
int Connection::server_version() const { return use()->look().server_version(); }
std::string Connection::parameter(const std::string& name) const { return use()->look().parameter(name); }

Coro<Rows> Connection::run_statement(std::string sql, Params params) const {
    return detail::Use::run(use(), 0, std::move(sql), std::move(params));
}

std::shared_ptr<detail::Path> Connection::path() const { return std::make_shared<detail::Path>(use(), 0); }

}  // namespace coaio::db
