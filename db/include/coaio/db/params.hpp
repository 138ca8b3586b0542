// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/array.hpp>
#include <coaio/db/codec.hpp>
#include <coaio/db/error.hpp>
#include <coaio/db/time.hpp>
#include <coaio/db/values.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaio::db {

namespace detail {

template <class T>
inline constexpr bool is_text_pointer = std::same_as<T, const char*> || std::same_as<T, char*>;

template <class T>
inline constexpr bool never = false;

/// A list of small values that has room for its first few in itself.
template <class T, std::size_t few>
class ShortList {
public:
    ShortList() = default;
    ShortList(const ShortList&) = default;
    ShortList& operator=(const ShortList& other) { return *this = ShortList(other); }
    ShortList(ShortList&& other) noexcept
        : first_(other.first_), more_(std::move(other.more_)), size_(std::exchange(other.size_, 0)) {}
    ShortList& operator=(ShortList&& other) noexcept {
        first_ = other.first_;
        more_ = std::move(other.more_);
        size_ = other.size_;
        other.size_ = 0;  // moved to itself it is empty, as its vector is
        return *this;
    }
    ~ShortList() = default;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] const T& at(std::size_t index) const {
        if (index >= size_) throw std::out_of_range("there is no such element");
        return index < few ? first_[index] : more_[index - few];
    }
    void reserve(std::size_t count) {
        if (count > few) more_.reserve(count - few);
    }
    void push_back(const T& value) {
        if (size_ < few) {
            first_[size_] = value;
        } else {
            more_.push_back(value);
        }
        ++size_;
    }

private:
    std::array<T, few> first_{};
    std::vector<T> more_;
    std::size_t size_ = 0;
};

}  // namespace detail

/// The parameters of one statement, encoded and owned: `$1` is the first.
///
/// Whatever is added is copied at once, so nothing has to outlive the call. The functions of `Pool`, `Connection` and
/// `Transaction` make one of their arguments; make it yourself where the number of parameters is known at run time only:
///
///     coaio::db::Params params;
///     for (const auto& word : words) params.add(word);
///     auto rows = co_await pool.query(sql, std::move(params));
///
/// Everything in `Codec` can be added, and `std::optional` of it (an empty one is NULL), `std::nullopt`, string
/// literals, `std::span<const std::byte>`. A value that cannot be sent throws a ParameterError that names `$n` and holds
/// no value; the parameters are then as before.
class Params {
public:
    static constexpr std::size_t most = 65535;  ///< the protocol counts them in 16 bits

    Params() = default;

    template <class... Ts>
    [[nodiscard]] static Params of(const Ts&... values) {
        Params params;
        params.slots_.reserve(sizeof...(values));
        (params.add(values), ...);
        return params;
    }

    template <class T>
    Params& add(const T& value);

    /// NULL; its type is inferred where none is given.
    Params& add_null(Oid type = Oid::unspecified);

    [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
    [[nodiscard]] bool empty() const noexcept { return slots_.size() == 0; }

    /// One parameter as it is sent. Text is followed by a NUL byte that is not counted.
    struct Slot {
        Oid type = Oid::unspecified;
        Format format = Format::binary;
        bool null = false;
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
    };
    static_assert(Encoder::most_bytes <= UINT32_MAX);
    [[nodiscard]] const Slot& slot(std::size_t index) const { return slots_.at(index); }
    [[nodiscard]] std::string_view bytes(std::size_t index) const {
        const Slot& at = slot(index);
        return {bytes_.data() + at.offset, at.length};
    }
    /// The type of each, in order: what a prepared statement depends on.
    [[nodiscard]] std::vector<Oid> types() const;

private:
    template <class C, class V>
    Params& put(const V& value) {
        Slot slot = begin(C::oid, C::format);
        try {
            Encoder out(bytes_);
            C::encode(value, out);
        } catch (const ValueError& error) {
            undo(slot, error.what());
        } catch (...) {
            bytes_.resize(slot.offset);
            throw;
        }
        return end(slot);
    }
    [[nodiscard]] Slot begin(Oid type, Format format) const;
    Params& end(Slot slot);
    [[noreturn]] void undo(const Slot& slot, const std::string& problem);
    [[noreturn]] void refuse(const std::string& problem) const;

    std::string bytes_;
    detail::ShortList<Slot, 4> slots_;
};

// ---------------------------------------------------------------------------------------------------------------

template <class T>
Params& Params::add(const T& value) {
    if constexpr (std::same_as<T, std::nullopt_t> || std::same_as<T, std::nullptr_t>) {
        return add_null();
    } else if constexpr (detail::is_text_pointer<T>) {
        if (value == nullptr) refuse("a null pointer where text should be; NULL is std::nullopt");
        return put<Codec<std::string>>(std::string_view(value));
    } else if constexpr (std::is_array_v<T> && std::same_as<std::remove_cv_t<std::remove_extent_t<T>>, char>) {
        return put<Codec<std::string>>(std::string_view(value, ::strnlen(value, sizeof(value))));
    } else if constexpr (std::same_as<T, std::span<const std::byte>> || std::same_as<T, std::span<std::byte>>) {
        return put<Codec<std::vector<std::byte>>>(std::span<const std::byte>(value));
    } else if constexpr (detail::Nullable<T>::value) {
        if (value) return add(*value);
        return add_null(Codec<typename detail::Nullable<T>::Value>::oid);
    } else if constexpr (HasCodec<T>) {
        return put<Codec<T>>(value);
    } else {
        static_assert(detail::never<T>,
                      "this type cannot be a parameter: specialize coaio::db::Codec for it (for an enum derive from "
                      "EnumCodec; for a character use a string)");
    }
}

}  // namespace coaio::db
