// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include <libpq-fe.h>

#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include <sys/socket.h>

namespace coaio::db::pq {
namespace {

/// Parameters in the shape of libpq's calls; few of them need no memory of their own.
class WireParams {
public:
    explicit WireParams(const Params& params) : count_(static_cast<int>(params.size())) {
        std::size_t count = params.size();
        if (count > inline_count) {
            more_ = std::make_unique<More>(count);
            values_ = more_->values.data();
            lengths_ = more_->numbers.data();
            formats_ = more_->numbers.data() + count;
            types_ = more_->types.data();
        }
        for (std::size_t i = 0; i < count; ++i) {
            const Params::Slot& slot = params.slot(i);
            values_[i] = slot.null ? nullptr : params.bytes(i).data();
            lengths_[i] = static_cast<int>(slot.length);
            formats_[i] = slot.format == Format::binary ? 1 : 0;
            types_[i] = static_cast<::Oid>(slot.type);
        }
    }
    WireParams(const WireParams&) = delete;
    WireParams& operator=(const WireParams&) = delete;

    [[nodiscard]] int count() const noexcept { return count_; }
    [[nodiscard]] const char* const* values() const noexcept { return values_; }
    [[nodiscard]] const int* lengths() const noexcept { return lengths_; }
    [[nodiscard]] const int* formats() const noexcept { return formats_; }
    [[nodiscard]] const ::Oid* types() const noexcept { return types_; }

private:
    static constexpr std::size_t inline_count = 16;
    struct More {
        explicit More(std::size_t count) : values(count), numbers(count * 2), types(count) {}
        std::vector<const char*> values;
        std::vector<int> numbers;
        std::vector<::Oid> types;
    };

    int count_;
    std::array<const char*, inline_count> few_values_;
    std::array<int, inline_count * 2> few_numbers_;
    std::array<::Oid, inline_count> few_types_;
    std::unique_ptr<More> more_;
    const char** values_ = few_values_.data();
    int* lengths_ = few_numbers_.data();
    int* formats_ = few_numbers_.data() + inline_count;
    ::Oid* types_ = few_types_.data();
};

int wire(Format format) { return format == Format::binary ? 1 : 0; }

}  // namespace

void refuse_nul(const std::string& sql) {
    if (sql.find('\0') != std::string::npos) throw ParameterError(0, "the statement contains a NUL byte");
}

Features features() noexcept {
    Features found;
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    found.async_cancel = true;
#endif
    return found;
}

void Session::Finish::operator()(pg_conn* connection) const noexcept { PQfinish(connection); }

Session::Session(const std::map<std::string, std::string>& values) {
    std::vector<const char*> keys;
    std::vector<const char*> texts;
    for (const auto& [key, value] : values) {
        keys.push_back(key.c_str());
        texts.push_back(value.c_str());
    }
    keys.push_back(nullptr);
    texts.push_back(nullptr);
    connection_.reset(PQconnectStartParams(keys.data(), texts.data(), 0));
    if (!connection_) throw std::bad_alloc();
    PQsetNoticeReceiver(connection_.get(), &Session::receive_notice, this);
    PQsetErrorContextVisibility(connection_.get(), PQSHOW_CONTEXT_NEVER);
    PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);  // so that a refusal shows its SQLSTATE
}

Session::~Session() = default;

void Session::receive_notice(void* self, const pg_result* raw) noexcept {
    auto& session = *static_cast<Session*>(self);
    try {
        Notice notice;
        auto text = [raw](int code) {
            const char* found = PQresultErrorField(raw, code);
            return std::string(found != nullptr ? found : "");
        };
        notice.fields.severity = text(PG_DIAG_SEVERITY_NONLOCALIZED);
        notice.fields.sqlstate = text(PG_DIAG_SQLSTATE);
        notice.fields.message = text(PG_DIAG_MESSAGE_PRIMARY);
        notice.fields.detail = text(PG_DIAG_MESSAGE_DETAIL);
        notice.fields.hint = text(PG_DIAG_MESSAGE_HINT);
        notice.fields.where = text(PG_DIAG_CONTEXT);
        if (notice.fields.severity == "WARNING") {
            session.last_warning_ = notice.fields.sqlstate + ": " + notice.fields.message;
        }
        if (session.notice_handler_) session.notice_handler_(notice);
    } catch (...) {
        // libpq cannot carry an exception, and a handler that fails must not break the connection.
    }
}

Progress Session::poll_connect() {
    if (PQstatus(connection_.get()) == CONNECTION_BAD) return Progress::failed;
    // The one byte of the answer; libpq does not tell it from other failures, but by its words, which are translated.
    if (PQstatus(connection_.get()) == CONNECTION_SSL_STARTUP && tls_answer_ == '\0') {
        char answer = '\0';
        if (::recv(socket(), &answer, 1, MSG_PEEK | MSG_DONTWAIT) == 1) tls_answer_ = answer;
    }
    switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING: return Progress::wants_read;
    case PGRES_POLLING_WRITING: return Progress::wants_write;
    case PGRES_POLLING_OK:
        if (PQsetnonblocking(connection_.get(), 1) != 0) return Progress::failed;
        PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
        return Progress::done;
    default: return Progress::failed;
    }
}

int Session::socket() const noexcept { return PQsocket(connection_.get()); }
bool Session::good() const noexcept { return PQstatus(connection_.get()) == CONNECTION_OK; }
int Session::server_version() const noexcept { return PQserverVersion(connection_.get()); }
int Session::backend_pid() const noexcept { return PQbackendPID(connection_.get()); }

TxStatus Session::transaction() const noexcept {
    switch (PQtransactionStatus(connection_.get())) {
    case PQTRANS_IDLE: return TxStatus::idle;
    case PQTRANS_ACTIVE: return TxStatus::active;
    case PQTRANS_INTRANS: return TxStatus::in_transaction;
    case PQTRANS_INERROR: return TxStatus::failed;
    default: return TxStatus::unknown;
    }
}

std::string Session::parameter(const std::string& name) const {
    const char* value = PQparameterStatus(connection_.get(), name.c_str());
    return value != nullptr ? value : "";
}

bool Session::reports(const char* parameter, std::string_view value) const noexcept {
    const char* const reported = PQparameterStatus(connection_.get(), parameter);
    return reported != nullptr && value == reported;
}

bool Session::encrypted() const noexcept { return PQsslInUse(connection_.get()) != 0; }

bool Session::is_utf8() const noexcept {
    static const int utf8 = pg_char_to_encoding("UTF8");
    return PQclientEncoding(connection_.get()) == utf8;
}

ErrorFields Session::error() const {
    ErrorFields fields;
    fields.message = PQerrorMessage(connection_.get());
    while (!fields.message.empty() && fields.message.back() == '\n') fields.message.pop_back();
    if (fields.message.empty()) fields.message = "the connection to the server was lost";
    fields.connection_good = good();
    if (!fields.connection_good) fields.last_notice = last_warning_;
    return fields;
}

ErrorFields Session::connect_error() const {
    ErrorFields fields = error();
    fields.connection_good = false;
    // That is known before the server could say so, and will not change by trying again.
    if (PQconnectionNeedsPassword(connection_.get()) != 0) fields.sqlstate = sqlstate::invalid_password;
    // "… failed: FATAL:  28P01: password authentication failed …", then "LOCATION:  auth_failed, auth.c:326"
    std::string& text = fields.message;
    const std::size_t place = text.find("\nLOCATION:");
    if (place != std::string::npos) text.resize(place);
    for (std::size_t at = text.find(": "); at != std::string::npos; at = text.find(": ", at + 1)) {
        const std::size_t start = text.find_first_not_of(' ', at + 1);
        if (start == std::string::npos || start + 7 > text.size() || text.compare(start + 5, 2, ": ") != 0) continue;
        const std::string state = text.substr(start, 5);
        if (state.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos) continue;
        if (state.find_first_of("0123456789") == std::string::npos) continue;
        fields.sqlstate = state;
        fields.severity = "FATAL";
        text.erase(start, 7);
        break;
    }
    return fields;
}

void Session::check_sent(int sent, const std::string& sql) const {
    if (sent != 0) return;
    ErrorFields fields = error();
    if (fields.connection_good) throw UsageError("libpq did not take the statement: " + fields.message);
    fields.sql = cut_sql(sql);
    throw ConnectionError(std::move(fields));
}

void Session::send_query(const std::string& sql, const Params& params, Format results) {
    refuse_nul(sql);
    WireParams wired(params);
    check_sent(PQsendQueryParams(connection_.get(), sql.c_str(), wired.count(), wired.types(), wired.values(),
                                 wired.lengths(), wired.formats(), wire(results)),
               sql);
}

void Session::send_script(const std::string& sql) {
    refuse_nul(sql);
    check_sent(PQsendQuery(connection_.get(), sql.c_str()), sql);
}

void Session::send_prepare(const std::string& name, const std::string& sql, const std::vector<Oid>& types) {
    refuse_nul(sql);
    std::vector<::Oid> wired;
    wired.reserve(types.size());
    for (Oid type : types) wired.push_back(static_cast<::Oid>(type));
    check_sent(
        PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), static_cast<int>(wired.size()), wired.data()), sql);
}

void Session::send_describe(const std::string& name) {
    check_sent(PQsendDescribePrepared(connection_.get(), name.c_str()), name);
}

void Session::send_prepared(const std::string& name, const Params& params, Format results) {
    WireParams wired(params);
    check_sent(PQsendQueryPrepared(connection_.get(), name.c_str(), wired.count(), wired.values(), wired.lengths(),
                                   wired.formats(), wire(results)),
               name);
}

void Session::enter_pipeline() { check_sent(PQenterPipelineMode(connection_.get()), {}); }
void Session::exit_pipeline() { check_sent(PQexitPipelineMode(connection_.get()), {}); }
bool Session::in_pipeline() const noexcept { return PQpipelineStatus(connection_.get()) != PQ_PIPELINE_OFF; }

void Session::send_sync() {
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    check_sent(PQsendPipelineSync(connection_.get()), {});
#else
    check_sent(PQpipelineSync(connection_.get()), {});
#endif
}

void Session::send_describe_portal(const std::string& name) {
    check_sent(PQsendDescribePortal(connection_.get(), name.c_str()), name);
}

// Not 17's mode of chunks, which forgets the rows of a chunk when an error comes before it is full.
void Session::single_row_mode() { check_sent(PQsetSingleRowMode(connection_.get()), {}); }

bool Session::flush() {
    if (keeps_back()) return true;
    int left = PQflush(connection_.get());
    if (left < 0) {
        ErrorFields fields = error();
        fields.connection_good = false;
        throw ConnectionError(std::move(fields));
    }
    clogged_ = left != 0;
    return !clogged_;
}

bool Session::sends_early() const noexcept {
    return clogged_ || PQpipelineStatus(connection_.get()) == PQ_PIPELINE_ABORTED;
}

void Session::consume_input() {
    if (keeps_back()) let_go();  // it sends what there is, too
    if (PQconsumeInput(connection_.get()) != 0) return;
    ErrorFields fields = error();
    fields.connection_good = false;
    fields.last_notice = last_warning_;
    throw ConnectionError(std::move(fields));
}

bool Session::silent() const noexcept {
    if (PQsslInUse(connection_.get()) != 0) return false;  // OpenSSL may hold what nobody sees
    char byte = 0;
    return ::recv(socket(), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool Session::busy() const noexcept { return PQisBusy(connection_.get()) != 0; }

std::optional<Result> Session::next_result() {
    PGresult* result = PQgetResult(connection_.get());
    if (result == nullptr) return std::nullopt;
    return Result(result);
}

std::optional<Notification> Session::next_notification() {
    struct Free {
        void operator()(PGnotify* notify) const noexcept { PQfreemem(notify); }
    };
    std::unique_ptr<PGnotify, Free> notify(PQnotifies(connection_.get()));
    if (!notify) return std::nullopt;
    Notification made;
    made.channel = notify->relname;
    made.payload = notify->extra;
    made.pid = notify->be_pid;
    return made;
}

void Session::hang_up() noexcept {
    const int fd = socket();
    if (fd >= 0) ::shutdown(fd, SHUT_RDWR);
}

}  // namespace coaio::db::pq
