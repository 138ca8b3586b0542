// SPDX-License-Identifier: MIT
#pragma once

#include "conninfo.hpp"
#include "libpq.hpp"

#include <coaio/db/row.hpp>

#include <stdexcept>
#include <string>

#include <poll.h>

namespace tests {

/// The libpq seam driven by poll(2): for tests of what needs no loop.
class Wire {
public:
    explicit Wire(const std::string& conninfo) : session_(prepared(conninfo)) {
        using coaio::db::pq::Progress;
        Progress wanted = Progress::wants_write;
        while (wanted != Progress::done) {
            if (session_.socket() < 0) throw coaio::db::ConnectionError(session_.error());
            wait(wanted == Progress::wants_write ? POLLOUT : POLLIN);
            wanted = session_.poll_connect();
            if (wanted == Progress::failed) throw coaio::db::ConnectionError(session_.error());
        }
    }

    coaio::db::Rows query(const std::string& sql, const coaio::db::Params& params = {},
                          coaio::db::Format format = coaio::db::Format::binary) {
        session_.send_query(sql, params, format);
        return finish();
    }
    coaio::db::Rows finish() {
        flush();
        coaio::db::Rows rows;
        coaio::db::ErrorFields failure;
        bool failed = false;
        while (auto result = next()) {
            if (result->kind() == coaio::db::pq::Kind::error) {
                failed = true;
                failure = result->error(session_.raw());
            } else {
                rows = std::move(*result).take_rows();
            }
        }
        if (failed) coaio::db::throw_error(std::move(failure));
        return rows;
    }
    void flush() {
        while (!session_.flush()) {
            wait(POLLIN | POLLOUT);
            session_.consume_input();
        }
    }
    std::optional<coaio::db::pq::Result> next() {
        while (session_.busy()) {
            wait(POLLIN);
            session_.consume_input();
        }
        return session_.next_result();
    }
    template <class T>
    T value(const std::string& sql, const coaio::db::Params& params = {},
            coaio::db::Format format = coaio::db::Format::binary) {
        return query(sql, params, format).value<T>();
    }
    coaio::db::pq::Session& session() { return session_; }

private:
    static std::map<std::string, std::string> prepared(const std::string& text) {
        auto info = coaio::db::Conninfo::parse(text);
        info.set_default("client_encoding", "UTF8");
        return info.given();
    }
    void wait(short events) {
        pollfd wanted{session_.socket(), events, 0};
        if (poll(&wanted, 1, 10000) != 1) throw std::runtime_error("the server is silent");
    }

    coaio::db::pq::Session session_;
};

}  // namespace tests
