// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/detail/slot.hpp>

#include <exception>
#include <utility>
#include <variant>

namespace coaio {

/// How something ended: with a value or with an exception. What `gather(return_exceptions, …)` gives for each child.
template <class T>
class Outcome {
public:
    using Value = detail::Regular<T>;

    Outcome(Value value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: converts
    Outcome(std::exception_ptr error) noexcept
        : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: converts

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    /// The value; throws the exception if there is one instead.
    [[nodiscard]] Value& value() & {
        check();
        return std::get<0>(state_);
    }
    [[nodiscard]] const Value& value() const& {
        check();
        return std::get<0>(state_);
    }
    [[nodiscard]] Value value() && {
        check();
        return std::get<0>(std::move(state_));
    }
    /// The exception, null when there is a value.
    [[nodiscard]] std::exception_ptr error() const noexcept {
        const auto* const error = std::get_if<1>(&state_);
        return error != nullptr ? *error : nullptr;
    }

private:
    void check() const {
        if (const auto* const error = std::get_if<1>(&state_)) std::rethrow_exception(*error);
    }

    std::variant<Value, std::exception_ptr> state_;
};

}  // namespace coaio
