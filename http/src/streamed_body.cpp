// SPDX-License-Identifier: MIT
#include "streamed_body.hpp"

#include "encode.hpp"

#include <coaio/core/error.hpp>

namespace coaio::http::detail {

void StreamedBody::begin() {
    if (begun_) return;
    begun_ = true;
    connection_.forbid_probe();
    connection_.out().append(head_);
}

Coro<> StreamedBody::write(std::string_view piece) {
    if (piece.empty()) co_return;
    if (length_ && piece.size() > *length_ - written_) {
        throw ValueError("the body is longer than the " + std::to_string(*length_) + " bytes that were announced");
    }
    begin();
    written_ += piece.size();
    if (chunked_) {
        connection_.out().append(ChunkHead(piece.size()).text());
        co_await connection_.send(piece, chunk_end);
    } else {
        co_await connection_.send(piece);
    }
}

Coro<> StreamedBody::flush() {
    begin();
    co_await connection_.send();
}

void StreamedBody::finish() {
    if (length_ && written_ != *length_) {
        throw ValueError("the body ended after " + std::to_string(written_) + " bytes, although " +
                         std::to_string(*length_) + " were announced");
    }
    begin();
    if (chunked_) write_last_chunk(connection_.out(), trailers_);
}

}  // namespace coaio::http::detail
