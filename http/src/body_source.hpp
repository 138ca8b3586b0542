// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/body.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace coaio::http::detail {

/// The body of a message that has none.
class NoBody final : public BodySource {
public:
    [[nodiscard]] static NoBody& instance() noexcept;

    [[nodiscard]] Coro<std::string_view> read_some() override;
    [[nodiscard]] std::optional<std::uint64_t> length() const noexcept override { return 0; }
    void set_limit(std::uint64_t) noexcept override {}
    [[nodiscard]] const Headers& trailers() const noexcept override { return none_; }

private:
    Headers none_;
};

}  // namespace coaio::http::detail
