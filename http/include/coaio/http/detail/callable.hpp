// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace coaio::http::detail {

template <class Signature>
class Callable;

/// A callable that is owned and cannot be copied, so that its captures need not be copyable.
template <class R, class... Args>
class Callable<R(Args...)> {
public:
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, Callable> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    Callable(F&& function) : body_(std::make_unique<Body<std::decay_t<F>>>(std::forward<F>(function))) {}

    /// Empty: must not be called.
    Callable() noexcept = default;
    [[nodiscard]] explicit operator bool() const noexcept { return body_ != nullptr; }

    R operator()(Args... args) const { return body_->call(std::forward<Args>(args)...); }

private:
    struct Base {
        Base() = default;
        Base(const Base&) = delete;
        Base& operator=(const Base&) = delete;
        virtual ~Base() = default;
        virtual R call(Args... args) = 0;
    };
    template <class F>
    struct Body final : Base {
        template <class G>
            requires(!std::is_same_v<std::remove_cvref_t<G>, Body>)
        explicit Body(G&& given) : function(std::forward<G>(given)) {}
        R call(Args... args) override { return function(std::forward<Args>(args)...); }
        F function;
    };

    std::unique_ptr<Base> body_;
};

}  // namespace coaio::http::detail
