// SPDX-License-Identifier: MIT
#include "run_rows.hpp"

#include <utility>

namespace coaio::db::detail {

Rows RunRows::take(std::size_t run, pq::Result result, Outcome outcome, const std::shared_ptr<const UserTypes>& types) {
    if (result.row_count() > most_rows) return std::move(result).take_rows(outcome, types);
    if (chunk_ && !result.has_columns_of(*chunk_)) chunk_.reset();
    const std::size_t first = chunk_ ? chunk_->row_count() : 0;
    result.copy_rows(chunk_, answers_.size() - run);
    Answer& answer = answers_[run];
    answer.set(chunk_, first, result.command());
    answer.set_outcome(outcome);
    if (types) answer.set_types(types);
    return Rows(std::shared_ptr<const ResultData>(shared_from_this(), &answer));
}

}  // namespace coaio::db::detail
