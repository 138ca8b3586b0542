// SPDX-License-Identifier: MIT
#include <coaio/db/stream.hpp>

#include "path.hpp"
#include "watch.hpp"

#include <utility>

namespace coaio::db {
namespace detail {

class CursorState {
public:
    CursorState(std::shared_ptr<Path> of, std::string text, Params values, bool can_scroll)
        : path(std::move(of)), sql(std::move(text)), params(std::move(values)), scroll(can_scroll) {}
    CursorState(const CursorState&) = delete;
    CursorState& operator=(const CursorState&) = delete;
    ~CursorState() = default;

    /// Runs a command on it, which is given without the cursor's name at its end.
    [[nodiscard]] static Coro<Rows> run(std::shared_ptr<CursorState> self, std::string command) {
        const Step step(self->stepping, "cursor");
        if (self->closed) throw UsageError("the cursor was closed");
        co_await Path::open(self->path);
        PqLink& link = self->path->link();
        if (self->name.empty()) {
            if (link.state() == LinkState::idle) {
                throw UsageError("a cursor needs a transaction: make it of the handle that the body is given");
            }
            const std::string name = link.next_cursor();
            self->format = co_await link.declare(name, self->scroll, self->sql, self->params);
            self->name = name;
        }
        command += self->name;
        co_return co_await link.run_once(command, self->none, self->format);
    }

    std::shared_ptr<Path> path;
    std::string sql;
    Params params;
    const Params none;
    bool scroll;
    bool stepping = false;
    bool closed = false;
    std::string name;
    Format format = Format::text;
};

class RowSource {
public:
    RowSource(std::shared_ptr<Path> path, std::string sql, Params params)
        : path_(std::move(path)), sql_(std::move(sql)), params_(std::move(params)) {}
    RowSource(const RowSource&) = delete;
    RowSource& operator=(const RowSource&) = delete;
    ~RowSource() {
        PqLink* const link = path_->raw();
        if (state_ == State::open && !cursor_ && link != nullptr) link->leave();
    }

    static Coro<std::optional<Rows>> next(std::shared_ptr<RowSource> self) {
        const Step step(self->stepping_, "row stream");
        if (self->state_ == State::failed) {
            throw UsageError("the stream has failed, was cancelled or was closed: it has no more rows");
        }
        if (self->state_ == State::ended) co_return std::nullopt;
        std::exception_ptr failure;
        try {
            if (self->state_ == State::fresh) co_await self->begin();
            if (self->cursor_) co_return co_await self->fetch();
            auto rows = co_await self->path_->link().next_rows();
            PqLink* const link = self->path_->raw();
            if (link == nullptr || !link->flowing()) self->finish(State::ended);
            co_return rows;
        } catch (...) {
            failure = std::current_exception();
        }
        self->fail();
        std::rethrow_exception(failure);
    }

    static Coro<> close(std::shared_ptr<RowSource> self) {
        const Step step(self->stepping_, "row stream");
        const State before = std::exchange(self->state_, State::failed);
        if (before == State::open && self->cursor_) {
            if (self->cursor_->name.empty()) co_return;
            co_await CursorState::run(self->cursor_, "close ");
        } else if (before == State::open) {
            PqLink* const link = self->path_->raw();
            if (link != nullptr) {
                link->leave();
                co_await link->settle();
            }
        }
        self->path_->close();
    }

    // The link has cleaned up behind a step that failed; a misuse of the handle has not touched it.
    void fail() noexcept {
        PqLink* const link = path_->raw();
        if (state_ == State::open && !cursor_ && link != nullptr) link->leave();
        finish(State::failed);
    }

private:
    enum class State : unsigned char { fresh, open, ended, failed };

    Coro<> begin() {
        co_await Path::open(path_);
        PqLink& link = path_->link();
        co_await link.settle();
        const TraceSource& trace = path_->connector().trace();
        if (trace) sql_ = traced(std::move(sql_), trace);
        if (link.in_transaction()) {
            cursor_ = std::make_shared<CursorState>(path_, std::move(sql_), std::move(params_), false);
        } else {
            co_await link.begin_rows(sql_, params_);
        }
        state_ = State::open;
    }

    Coro<std::optional<Rows>> fetch() {
        static const std::string command = "fetch forward " + std::to_string(fetched_at_once) + " from ";
        Rows rows = co_await CursorState::run(cursor_, command);
        if (rows.size() < fetched_at_once) {
            co_await CursorState::run(cursor_, "close ");
            finish(State::ended);
        }
        co_return std::optional<Rows>(std::move(rows));
    }

    void finish(State state) noexcept {
        state_ = state;
        path_->close();
    }

    static constexpr std::size_t fetched_at_once = 256;

    std::shared_ptr<Path> path_;
    std::string sql_;
    Params params_;
    std::shared_ptr<CursorState> cursor_;
    State state_ = State::fresh;
    bool stepping_ = false;
};

std::shared_ptr<RowSource> open_rows(std::shared_ptr<Path> path, std::string sql, Params params) {
    return std::make_shared<RowSource>(std::move(path), std::move(sql), std::move(params));
}

std::shared_ptr<CursorState> open_cursor(std::shared_ptr<Path> path, std::string sql, Params params, bool scroll) {
    return std::make_shared<CursorState>(std::move(path), std::move(sql), std::move(params), scroll);
}

Coro<std::optional<Rows>> next_rows(std::shared_ptr<RowSource> source) { return RowSource::next(std::move(source)); }
Coro<> close_rows(std::shared_ptr<RowSource> source) { return RowSource::close(std::move(source)); }
void drop_rows(RowSource& source) noexcept { source.fail(); }

}  // namespace detail

namespace {

Coro<std::uint64_t> move_cursor(std::shared_ptr<detail::CursorState> state, std::string command) {
    const Rows answer = co_await detail::CursorState::run(std::move(state), std::move(command));
    co_return answer.affected();
}

Coro<> close_cursor(std::shared_ptr<detail::CursorState> state) {
    if (!state->closed && !state->name.empty()) co_await detail::CursorState::run(state, "close ");
    state->closed = true;
}

std::string by(const char* verb, std::int64_t count) {
    return verb + std::string(count < 0 ? " backward " : " forward ") +
           std::to_string(count < 0 ? -static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count)) +
           " from ";
}

}  // namespace

Coro<Rows> Cursor::fetch(std::int64_t count) const { return detail::CursorState::run(state_, by("fetch", count)); }
Coro<std::uint64_t> Cursor::move(std::int64_t count) const { return move_cursor(state_, by("move", count)); }
Coro<> Cursor::close() const { return close_cursor(state_); }

}  // namespace coaio::db
