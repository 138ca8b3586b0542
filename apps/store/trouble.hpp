// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <coaio/core/coro.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/time.hpp>

namespace store {

/// Whether it failed because the database is away, or busy with others: that passes.
[[nodiscard]] bool is_passing(const std::exception_ptr& failure);

/// Whether it, or one of a group, took too long.
[[nodiscard]] bool is_timeout(const std::exception_ptr& failure);

/// Whether it is an `E`, or a group that holds one.
template <class E>
[[nodiscard]] bool holds(const std::exception_ptr& failure) {
    if (!failure) return false;
    try {
        std::rethrow_exception(failure);
    } catch (const coaio::ExceptionGroup& group) {
        return !group.matching<E>().empty();
    } catch (const E&) {
        return true;
    } catch (...) {
        return false;
    }
}

/// What the first of the failures says.
[[nodiscard]] std::string reason_of(const std::exception_ptr& failure);

/// Takes a line for whoever watches.
using Say = std::function<void(const std::string&)>;

/// The database was away for longer than anybody would wait.
class DatabaseAway : public coaio::Error {
public:
    using Error::Error;
    ~DatabaseAway() override;
};

/// How long a program bears with a database that is away: what fails meanwhile is tried again. Each work that may fail
/// has one of its own, which only its own success ends.
class Patience {
public:
    /// `trouble` is how the first failure is told of: "the database is away"; `relief` the end of it.
    Patience(coaio::Duration limit, std::string trouble, std::string relief)
        : limit_(limit), trouble_(std::move(trouble)), relief_(std::move(relief)) {}

    void tell(Say say) { say_ = std::move(say); }

    /// After a failure: returns when it is time to try again.
    /// Errors: the failure, where it does not pass by itself; `DatabaseAway` when nothing has succeeded for so long. That
    /// something took too long passes.
    [[nodiscard]] coaio::Coro<> after(std::exception_ptr failure);
    void succeeded();
    [[nodiscard]] bool is_away() const noexcept { return since_.has_value(); }

private:
    coaio::Duration limit_;
    std::string trouble_;
    std::string relief_;
    Say say_;
    std::optional<coaio::TimePoint> since_;
};

}  // namespace store
