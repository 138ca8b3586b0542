// SPDX-License-Identifier: MIT
#include "run_rows.hpp"

#include <utility>

namespace coaio::db::detail {

Rows RunRows::take(const std::shared_ptr<RunRows>& self, std::size_t run, pq::Result result, Outcome outcome,
                   const std::shared_ptr<const UserTypes>& types) {
    if (result.row_count() > most_rows) return std::move(result).take_rows(outcome, types);
    Chunk& chunk = self->chunk_for(result, self->answers_.size() - run);
    const std::size_t first = chunk.row_count();
    result.copy_rows(chunk);
    std::list<std::string>& commands = self->commands_;
    if (commands.empty() || commands.back() != result.command()) commands.emplace_back(result.command());
    Answer& answer = self->answers_[run];
    answer.set(chunk, first, commands.back());
    answer.set_outcome(outcome);
    if (types) answer.set_types(types);
    return Rows(std::shared_ptr<const ResultData>(self, &answer));
}

Chunk& RunRows::chunk_for(const pq::Result& result, std::size_t alike) {
    const bool goes_on = chunk_ != nullptr &&
                         (alike_ ? result.column_count() == chunk_->column_count() : result.has_columns_of(*chunk_));
    if (!goes_on) {
        chunks_.push_back(result.make_chunk(alike));
        chunk_ = chunks_.back().get();
    }
    return *chunk_;
}

}  // namespace coaio::db::detail
