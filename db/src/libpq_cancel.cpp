// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include <libpq-fe.h>

#include <array>

namespace coaio::db::pq {

void Canceller::Free::operator()(pg_cancel* cancel) const noexcept { PQfreeCancel(cancel); }

std::string Canceller::cancel() const {
    if (!cancel_) return "the connection was never open";
    std::array<char, 256> problem{};
    if (PQcancel(cancel_.get(), problem.data(), static_cast<int>(problem.size())) != 0) return {};
    return problem[0] != '\0' ? problem.data() : "the cancel request failed";
}

Canceller Session::canceller() const { return Canceller(PQgetCancel(connection_.get())); }

#ifdef LIBPQ_HAS_ASYNC_CANCEL

void CancelRequest::Free::operator()(pg_cancel_conn* request) const noexcept { PQcancelFinish(request); }

CancelRequest Session::cancel_request() const { return CancelRequest(PQcancelCreate(connection_.get())); }

bool CancelRequest::start() { return request_ && PQcancelStart(request_.get()) != 0; }

Progress CancelRequest::poll() {
    switch (PQcancelPoll(request_.get())) {
    case PGRES_POLLING_READING: return Progress::wants_read;
    case PGRES_POLLING_WRITING: return Progress::wants_write;
    case PGRES_POLLING_OK: return Progress::done;
    default: return Progress::failed;
    }
}

int CancelRequest::socket() const noexcept { return PQcancelSocket(request_.get()); }

std::string CancelRequest::error() const {
    return request_ ? PQcancelErrorMessage(request_.get()) : "the connection was never open";
}

#else

void CancelRequest::Free::operator()(pg_cancel_conn*) const noexcept {}
CancelRequest Session::cancel_request() const { return CancelRequest(nullptr); }
bool CancelRequest::start() { return false; }
Progress CancelRequest::poll() { return Progress::failed; }
int CancelRequest::socket() const noexcept { return -1; }
std::string CancelRequest::error() const { return "this libpq has no asynchronous cancel"; }

#endif

}  // namespace coaio::db::pq
