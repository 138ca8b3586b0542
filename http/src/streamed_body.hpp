// SPDX-License-Identifier: MIT
#pragma once

#include "connection.hpp"

#include <coaio/http/body.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coaio::http::detail {

/// Writes a body to a connection as it is produced, its head with the first piece.
class StreamedBody final : public BodyWriter {
public:
    using BodyWriter::write;

    StreamedBody(Connection& connection, std::string head, bool chunked, std::optional<std::uint64_t> length)
        : connection_(connection), head_(std::move(head)), length_(length), chunked_(chunked) {}

    [[nodiscard]] Coro<> write(std::string_view piece) override;
    [[nodiscard]] Coro<> flush() override;
    /// The body is whole: appends what ends it to the connection's `out()`. Throws ValueError when it is too short.
    void finish();
    /// The head has been given out: there is no other answer any more.
    [[nodiscard]] bool begun() const noexcept { return begun_; }

private:
    void begin();

    Connection& connection_;
    std::string head_;
    std::optional<std::uint64_t> length_;
    bool chunked_;
    bool begun_ = false;
};

}  // namespace coaio::http::detail
