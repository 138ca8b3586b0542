// SPDX-License-Identifier: MIT
#pragma once

#include "client_state.hpp"
#include "connection.hpp"
#include "pool.hpp"

#include <coaio/core/time.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/content_coding.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::http::detail {

/// A request and its answer, redirects included: what stands behind a `ClientResponse`.
class Exchange final : public BodySource {
public:
    Exchange(std::shared_ptr<ClientState> client, ClientRequest request);
    ~Exchange();

    /// Until the head of the last answer is there.
    [[nodiscard]] Coro<> run();

    [[nodiscard]] Coro<std::string_view> read_some() override;
    [[nodiscard]] std::optional<std::uint64_t> length() const noexcept override;
    void set_limit(std::uint64_t bytes) noexcept override { max_body_ = bytes; }
    [[nodiscard]] const Headers& trailers() const noexcept override { return trailers_; }

    [[nodiscard]] int status() const noexcept { return status_; }
    [[nodiscard]] int minor() const noexcept { return minor_; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
    [[nodiscard]] const Url& url() const noexcept { return request_.url_; }
    [[nodiscard]] const std::vector<Url>& history() const noexcept { return history_; }

private:
    enum class Failure : std::uint8_t { none, may_repeat };

    [[nodiscard]] Coro<> run_all();
    [[nodiscard]] Coro<> run_once();
    [[nodiscard]] Coro<> connect();
    [[nodiscard]] Coro<Failure> attempt(bool reused);
    [[nodiscard]] Coro<> send_request();
    [[nodiscard]] Coro<> send_stream(std::string head);
    [[nodiscard]] Coro<> read_answer();
    [[nodiscard]] Coro<std::string_view> read_piece();
    [[nodiscard]] Coro<> drop_redirect_body();
    [[nodiscard]] bool may_repeat() const noexcept;
    [[nodiscard]] bool follow();
    void write_head(std::string& out) const;
    void take_head();
    void end_body();
    void abandon() noexcept;
    [[nodiscard]] std::string subject() const;

    std::shared_ptr<ClientState> client_;
    ClientRequest request_;
    std::optional<TimePoint> deadline_;
    std::size_t redirects_left_;
    std::uint64_t max_body_;
    std::optional<Turn> turn_;
    std::shared_ptr<Connection> connection_;

    std::string reason_;
    Headers headers_;
    Headers trailers_;
    std::vector<Url> history_;
    std::optional<ContentDecoder> decoder_;
    std::string decoded_;
    std::uint64_t body_seen_ = 0;
    std::optional<std::uint64_t> length_;
    int status_ = 0;
    int minor_ = 1;
    bool heard_ = false;  // something of an answer has come
    bool reusable_ = false;
    bool unsent_ = false;  // the server answered before it had all of the request
};

}  // namespace coaio::http::detail
