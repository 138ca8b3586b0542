// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/error.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/row.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/outcome.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::db {

/// Statements that are sent together and answered together: one round trip, and one transaction of their own, so all of
/// them take effect or none does. Parameters are encoded when they are added; one that cannot be sent throws there.
///
///     coaio::db::Batch batch;
///     batch.add("update accounts set cents = cents - $1 where id = $2", 500, from);
///     batch.add("update accounts set cents = cents + $1 where id = $2", 500, to);
///     auto answers = co_await pool.batch(std::move(batch));
class Batch {
public:
    class Statement {
    public:
        Statement(std::string text, Params values) : sql(std::move(text)), params(std::move(values)) {}
        std::string sql;
        Params params;
    };

    Batch() = default;

    template <class... Ps>
    Batch& add(std::string_view sql, const Ps&... params) {
        statements_.emplace_back(std::string(sql), Params::of(params...));
        return *this;
    }
    Batch& add(std::string_view sql, Params params) {
        statements_.emplace_back(std::string(sql), std::move(params));
        return *this;
    }

    [[nodiscard]] std::size_t size() const noexcept { return statements_.size(); }
    [[nodiscard]] bool empty() const noexcept { return statements_.empty(); }
    [[nodiscard]] const std::vector<Statement>& statements() const noexcept { return statements_; }

private:
    std::vector<Statement> statements_;
};

/// A statement of a batch that has no effect because another one failed: it was not executed, or it was rolled back. Where
/// a procedure may have committed it before, its outcome is unknown.
class BatchError : public Error {
public:
    explicit BatchError(ErrorFields fields);
    ~BatchError() override;
};

namespace detail {

class Path;

using BatchAnswers = std::vector<coaio::Outcome<Rows>>;

[[nodiscard]] Coro<BatchAnswers> run_batch(std::shared_ptr<Path> path, Batch batch);
[[nodiscard]] Coro<BatchAnswers> run_each(std::shared_ptr<Path> path, std::string sql, std::vector<Params> all);
[[nodiscard]] Coro<std::vector<Rows>> all_rows(Coro<BatchAnswers> answers);

}  // namespace detail
}  // namespace coaio::db
