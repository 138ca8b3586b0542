// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include <libpq-fe.h>

namespace coaio::db::pq {
namespace {

[[noreturn]] void lost(const Session& session) {
    ErrorFields fields = session.error();
    fields.outcome = Outcome::unknown;
    throw ConnectionError(std::move(fields));
}

}  // namespace

bool Session::put_copy(std::string_view bytes) {
    // libpq counts by int, the server takes 1 GB in a message.
    if (bytes.size() > most_copied) throw UsageError("a piece of a COPY is too large for one message");
    const int put = PQputCopyData(connection_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (put < 0) lost(*this);
    return put == 1;
}

bool Session::end_copy(const char* reason) {
    const int put = PQputCopyEnd(connection_.get(), reason);
    if (put < 0) lost(*this);
    return put == 1;
}

Session::CopyData Session::get_copy(std::string& into) {
    char* bytes = nullptr;
    const int size = PQgetCopyData(connection_.get(), &bytes, 1);
    if (size == -2) lost(*this);
    if (size == -1) return CopyData::end;
    if (size == 0) return CopyData::none_yet;
    struct Free {
        void operator()(char* text) const noexcept { PQfreemem(text); }
    };
    const std::unique_ptr<char, Free> owned(bytes);
    into.assign(bytes, static_cast<std::size_t>(size));
    return CopyData::row;
}

}  // namespace coaio::db::pq
