// SPDX-License-Identifier: MIT
#include <coaio/http/access_log.hpp>

#include "request_access.hpp"
#include "text.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/http/error.hpp>
#include <coaio/net/address.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace coaio::http {

namespace {

using namespace detail;

constexpr std::size_t longest_id = 64;

bool plain_id(std::string_view id) {
    auto plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
               c == '.';
    };
    return !id.empty() && id.size() <= longest_id && std::all_of(id.begin(), id.end(), plain);
}

std::string new_id() {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(get_running_loop().random()));
    return std::string(text.data());
}

std::string time_text(std::chrono::system_clock::time_point when) {
    using namespace std::chrono;
    const auto day = floor<days>(when);
    const year_month_day date(day);
    const hh_mm_ss time(floor<milliseconds>(when - day));
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
    return std::string(text.data());
}

void append_text(std::string& line, std::string_view name, std::string_view value) {
    line.append(",\"").append(name).append("\":");
    append_json(line, value);
}

class Entry {
public:
    explicit Entry(const Request& request) : request_(request), start_(Clock::now()) {}

    [[nodiscard]] std::string line(int status, std::optional<std::uint64_t> bytes) const {
        std::string line = "{\"time\":\"" + time_text(get_running_loop().wall_time()) + "\"";
        append_text(line, "id", request_.id());
        if (request_.peer() != nullptr) append_text(line, "peer", request_.peer()->text());
        append_text(line, "method", request_.method());
        append_text(line, "target", request_.target());
        append_text(line, "route", request_.route());
        line.append(",\"status\":").append(std::to_string(status));
        if (bytes) line.append(",\"bytes\":").append(std::to_string(*bytes));
        std::array<char, 48> spent{};
        const std::chrono::duration<double, std::milli> time = Clock::now() - start_;
        std::snprintf(spent.data(), spent.size(), ",\"ms\":%.3f}", time.count());
        return line.append(spent.data());
    }

private:
    const Request& request_;
    TimePoint start_;
};

int status_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const CancelledError&) {
        return 499;
    } catch (const BadRequest& error) {
        return error.status();
    } catch (const ProtocolError& error) {
        return error.status();
    } catch (...) {
        return 500;
    }
}

Coro<Response> log_around(const LogSink& sink, Request& request, Next next) {
    const auto given = request.header("X-Request-Id");
    RequestAccess::set_id(request, given && plain_id(*given) ? std::string(*given) : new_id());
    const Entry entry(request);
    Response response;
    std::exception_ptr failure;
    try {
        response = co_await next(request);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        sink(entry.line(status_of(failure), std::nullopt));
        std::rethrow_exception(failure);
    }
    response.header("X-Request-Id", request.id());
    sink(entry.line(response.status().code(), response.length()));
    co_return response;
}

void write_to_standard_error(std::string_view line) {
    std::string text(line);
    text.push_back('\n');
    // One call, so that the lines of several threads do not mix.
    std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

Middleware access_log(LogSink sink) {
    if (!sink) sink = write_to_standard_error;
    return Middleware(
        [sink = std::move(sink)](Request& request, Next next) { return log_around(sink, request, next); });
}

}  // namespace coaio::http
