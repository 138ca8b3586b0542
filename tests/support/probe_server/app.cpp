// SPDX-License-Identifier: MIT
#include "app.hpp"

#include <coaio/core.hpp>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace probe {

using coaio::Coro;
using coaio::http::BadRequest;
using coaio::http::BodyWriter;
using coaio::http::HeaderError;
using coaio::http::Request;
using coaio::http::Response;
using coaio::http::Router;
using coaio::http::SetCookie;
using coaio::http::Status;
using nlohmann::json;

namespace {

constexpr std::uint64_t big = 64 * 1024 * 1024;
constexpr std::size_t piece_size = 64 * 1024;
constexpr std::size_t most_piece = 16 * 1024 * 1024;

class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    [[nodiscard]] std::string hex() {
        static constexpr char digits[] = "0123456789abcdef";
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned int size = 0;
        EVP_DigestFinal_ex(context_.get(), digest, &size);
        std::string text;
        for (unsigned int i = 0; i < size; ++i) {
            text.push_back(digits[digest[i] >> 4]);
            text.push_back(digits[digest[i] & 15]);
        }
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Bytes as the code points of the same numbers, in UTF-8.
std::string latin1(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            text.push_back(c);
        } else {
            text.push_back(static_cast<char>(0xc0 | (byte >> 6)));
            text.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
        }
    }
    return text;
}

json pair_of(std::string_view name, std::string_view value) {
    json pair = json::array();
    pair.push_back(latin1(name));
    pair.push_back(latin1(value));
    return pair;
}

Coro<Response> health(Request&) { co_return Response::text("ok\n"); }

Coro<Response> echo(Request& request) {
    Sha256 digest;
    std::uint64_t size = 0;
    for (;;) {
        const auto piece = co_await request.read_some();
        if (piece.empty()) break;
        digest.add(piece);
        size += piece.size();
    }
    json answer;
    answer["method"] = latin1(request.method());
    answer["target"] = latin1(request.target());
    answer["headers"] = json::array();
    for (const auto& header : request.headers()) answer["headers"].push_back(pair_of(header.name, header.value));
    answer["body_len"] = size;
    answer["body_sha256"] = digest.hex();
    co_return Response::json(answer);
}

Coro<Response> slow(Request& request) {
    const auto time = std::chrono::milliseconds(request.query<std::uint32_t>("ms").value_or(0));
    co_await coaio::sleep(time);
    co_return Response::text("slow " + request.query("id").value_or(""));
}

Coro<Response> stream(Request& request) {
    const auto chunks = request.query<std::uint64_t>("chunks").value_or(1);
    const auto size = request.query<std::size_t>("size").value_or(1);
    if (size > most_piece) throw BadRequest("a chunk of more than 16 MiB");
    auto body = [chunks, size](BodyWriter& out) -> Coro<> {
        const std::string piece(size, 'x');
        for (std::uint64_t i = 0; i < chunks; ++i) co_await out.write(std::string_view(piece));
    };
    co_return Response::stream("text/plain", body);
}

Coro<Response> status(Request& request) {
    const int code = request.param<int>("code");
    if (code < 200 || code > 999) throw BadRequest("a final status has three digits, from 200");
    co_return Response::text("status " + std::to_string(code) + "\n", Status(code));
}

Coro<Response> header(Request& request) {
    Response response = Response::text("ok\n");
    try {
        response.headers().add(request.query("name").value_or(""), request.query("value").value_or(""));
    } catch (const HeaderError& error) {
        throw BadRequest(error.what());
    }
    co_return response;
}

Coro<Response> set_cookie(Request& request) {
    Response response = Response::text("ok\n");
    try {
        response.cookie(SetCookie(request.query("name").value_or(""), request.query("value").value_or("")).path("/"));
    } catch (const HeaderError& error) {
        throw BadRequest(error.what());
    }
    co_return response;
}

Coro<Response> cookies(Request& request) {
    json all = json::array();
    for (const auto& [name, value] : request.cookies()) all.push_back(pair_of(name, value));
    co_return Response::json(all);
}

Coro<Response> throw_error(Request&) {
    throw std::runtime_error("probe-internal-detail");
    co_return Response();
}

Coro<Response> midfail(Request&) {
    auto body = [](BodyWriter& out) -> Coro<> {
        co_await out.write("the beginning\n");
        throw std::runtime_error("probe-internal-detail");
    };
    co_return Response::stream("text/plain", body);
}

Coro<Response> noread(Request&) { co_return Response::text("noread"); }

Coro<Response> send_big(Request&) {
    auto body = [](BodyWriter& out) -> Coro<> {
        const std::string piece(piece_size, 'x');
        while (out.written() < big) co_await out.write(std::string_view(piece));
    };
    co_return Response::stream("application/octet-stream", body, big);
}

}  // namespace

Coro<Router> build_app() {
    Router app;
    app.get("/health", health);
    app.any("/echo", echo);
    app.get("/slow", slow);
    app.get("/stream", stream);
    app.any("/status/{code}", status);
    app.get("/header", header);
    app.get("/cookie", set_cookie);
    app.get("/cookies", cookies);
    app.any("/throw", throw_error);
    app.get("/midfail", midfail);
    app.any("/noread", noread);
    app.get("/big", send_big);
    co_return app;
}

}  // namespace probe
