// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace coaio {

/// Types that a function which takes a body hands to it as its first parameter: `TaskGroup&`, `Timeout&`, `Scope&`, …
/// Whoever hands out a scope keeps the body alive until its coroutine is done, so a lambda that takes one may capture.
/// Add your own: `template <> inline constexpr bool coaio::enable_scope<MyScope> = true;`
template <class T>
inline constexpr bool enable_scope = false;

}  // namespace coaio

namespace coaio::detail {

/// Whether a class is a lambda's, told by the compiler's own name for it: clang writes `(lambda at file:1:2)`, gcc
/// `<lambda(int)>`, each at the very end unless the lambda is only an argument of a template.
template <class T>
[[nodiscard]] consteval bool is_closure() {
    std::string_view name = __PRETTY_FUNCTION__;
    name.remove_prefix(name.find("T = ") + 4);
    name.remove_suffix(1);
#if defined(__clang__)
    return name.find("(lambda at ") != std::string_view::npos && name.back() == ')';
#else
    for (auto at = name.find("<lambda("); at != std::string_view::npos; at = name.find("<lambda(", at + 1)) {
        std::size_t depth = 0;
        for (auto i = at; i < name.size(); ++i) {
            if (name[i] == '<') ++depth;
            if (name[i] == '>' && --depth == 0) {
                if (i + 1 == name.size()) return true;
                break;
            }
        }
    }
    return false;
#endif
}

template <class T>
concept Closure = std::is_class_v<std::remove_cvref_t<T>> && is_closure<std::remove_cvref_t<T>>();

template <class T>
concept ScopeParameter = std::is_lvalue_reference_v<T> && enable_scope<std::remove_cvref_t<T>>;

/// Of a coroutine's parameter types: may it be a lambda without a scope as first parameter, which must not capture?
/// The closure itself comes first, by reference.
template <class... Args>
inline constexpr bool lambda_without_scope = false;
template <class Self, class... Rest>
    requires Closure<Self>
inline constexpr bool lambda_without_scope<Self&, Rest...> = true;
template <class Self, class Scope, class... Rest>
    requires Closure<Self> && ScopeParameter<Scope>
inline constexpr bool lambda_without_scope<Self&, Scope, Rest...> = false;

// g++ before 12.3 copies a closure bit by bit when it stands as a temporary in an expression with co_await.
#if defined(__GNUC__) && !defined(__clang__) && (__GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3))
inline constexpr bool closure_temporaries_are_broken = true;
#else
inline constexpr bool closure_temporaries_are_broken = false;
#endif

/// A body given as a temporary that this compiler would miscompile inside a `co_await` expression.
template <class F>
concept BrokenBody = closure_temporaries_are_broken && !std::is_lvalue_reference_v<F> && Closure<F> &&
                     !std::is_trivially_copyable_v<std::remove_cvref_t<F>>;

}  // namespace coaio::detail

/// For functions that take a body `F&&`: refuses what g++ before 12.3 would silently corrupt, with the idiom.
#define COAIO_CHECK_BODY(F)                                                                                            \
    static_assert(!::coaio::detail::BrokenBody<F>,                                                                     \
                  "g++ before 12.3 miscompiles a lambda with non-trivial captures that stands as a temporary in a "    \
                  "co_await expression. Name it first and pass the name: auto body = [...](...) -> coaio::Coro<> "     \
                  "{...}; co_await f(..., body); (docs/hazards.md, 'Lambdas')")
