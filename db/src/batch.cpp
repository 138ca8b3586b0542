// SPDX-License-Identifier: MIT
#include <coaio/db/batch.hpp>

#include "path.hpp"

#include <utility>

namespace coaio::db {

BatchError::BatchError(ErrorFields fields) : Error(std::move(fields)) {}
BatchError::~BatchError() = default;

namespace detail {

Coro<BatchAnswers> run_batch(std::shared_ptr<Path> path, Batch batch) {
    if (batch.empty()) co_return BatchAnswers();
    co_await Path::open(path);
    BatchAnswers answers = co_await path->link().run_batch(batch.statements());
    path->close();
    co_return answers;
}

Coro<std::vector<Rows>> all_rows(Coro<BatchAnswers> answers) {
    BatchAnswers each = co_await std::move(answers);
    // Those before the one that failed say only that they were rolled back with it.
    std::exception_ptr failure;
    for (const auto& answer : each) {
        if (answer) continue;
        if (!failure) failure = answer.error();
        try {
            std::rethrow_exception(answer.error());
        } catch (const BatchError&) {
        } catch (...) {
            std::rethrow_exception(answer.error());
        }
    }
    if (failure) std::rethrow_exception(failure);
    std::vector<Rows> rows;
    rows.reserve(each.size());
    for (auto& answer : each) rows.push_back(std::move(answer).value());
    co_return rows;
}

}  // namespace detail
}  // namespace coaio::db
