// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

namespace coaio::detail {

/// Room for one value that its owner makes and destroys; the owner knows whether there is one.
template <class T>
class Slot {
public:
    Slot() noexcept {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() {}

    template <class... Args>
    void emplace(Args&&... args) {
        ::new (static_cast<void*>(std::addressof(value_))) T(std::forward<Args>(args)...);
    }
    void destroy() noexcept { std::destroy_at(std::addressof(value_)); }
    [[nodiscard]] T& get() noexcept { return value_; }
    [[nodiscard]] T take() { return std::move(value_); }

private:
    union {
        T value_;
    };
};

template <class T>
class Slot<T&> {
public:
    void emplace(T& value) noexcept { value_ = std::addressof(value); }
    void destroy() noexcept {}
    [[nodiscard]] T& get() noexcept { return *value_; }
    [[nodiscard]] T& take() noexcept { return *value_; }

private:
    T* value_ = nullptr;
};

template <>
class Slot<void> {
public:
    void emplace() noexcept {}
    void destroy() noexcept {}
    void get() noexcept {}
    void take() noexcept {}
};

/// `void` has no values: tuples and vectors of results hold a `std::monostate` in its place.
template <class T>
using Regular = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

}  // namespace coaio::detail
