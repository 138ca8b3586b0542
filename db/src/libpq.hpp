// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/error.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/row.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::db::detail {
class Chunk;
}

struct pg_conn;
struct pg_result;
struct pg_cancel;
struct pg_cancel_conn;

/// The one seam to libpq: only src/libpq*.cpp include its header. Nothing here waits, but for `Canceller::cancel`.
namespace coaio::db::pq {

struct ParsedConninfo {
    std::map<std::string, std::string> values;
    std::string problem;  ///< libpq's words, which may quote secrets
};
[[nodiscard]] ParsedConninfo parse_conninfo(const std::string& text);
/// Every option there is, with the value that the environment or libpq gives it.
[[nodiscard]] std::map<std::string, std::string> conninfo_defaults();
/// The same where a service of a service file stands before these. `given` are the options that name it.
[[nodiscard]] ParsedConninfo service_defaults(const std::map<std::string, std::string>& given);
/// 15 for 15.20.
[[nodiscard]] int library_version() noexcept;

/// Throws a ParameterError where the statement could not be sent as a whole.
void refuse_nul(const std::string& sql);

/// What this libpq can do that 15 cannot.
struct Features {
    bool async_cancel = false;  ///< PQcancelStart and PQcancelPoll
};
[[nodiscard]] Features features() noexcept;

enum class Kind : unsigned char {
    command,     ///< done, no rows
    rows,        ///< done, with rows
    single_row,  ///< one row of many
    empty,       ///< an empty statement
    copy_in,
    copy_out,
    error,
    sync,     ///< the end of a pipelined query's segment
    aborted,  ///< not executed: an earlier one of its segment failed
    other,
};

/// It begins a COPY, of whatever kind: libpq gives such a result again and again until that has ended.
[[nodiscard]] constexpr bool begins_copy(Kind kind) noexcept {
    return kind == Kind::copy_in || kind == Kind::copy_out || kind == Kind::other;
}

/// One PGresult.
class Result {
public:
    explicit Result(pg_result* owned) noexcept : result_(owned) {}

    [[nodiscard]] Kind kind() const noexcept;
    /// Of a Kind::error. Outcome: rolled back where the server said so, unknown where the connection was lost.
    [[nodiscard]] ErrorFields error(const pg_conn* connection) const;
    /// Gives the rows away; `outcome` is what their conversion errors will say.
    [[nodiscard]] Rows take_rows(Outcome outcome = Outcome::committed,
                                 std::shared_ptr<const detail::UserTypes> types = {}) &&;
    [[nodiscard]] std::vector<Oid> column_types() const;
    [[nodiscard]] std::vector<Oid> parameter_types() const;
    [[nodiscard]] std::size_t row_count() const noexcept;
    /// The command's tag.
    [[nodiscard]] std::string_view command() const noexcept;
    [[nodiscard]] bool has_columns_of(const detail::Chunk& chunk) const noexcept;
    /// One with its columns and no rows, but room for those of so many results like this one.
    [[nodiscard]] std::unique_ptr<detail::Chunk> make_chunk(std::size_t alike = 1) const;
    /// Copies its rows to the end of one with as many columns.
    void copy_rows(detail::Chunk& chunk) const;
    [[nodiscard]] std::size_t column_count() const noexcept;
    /// Of a Kind::copy_in or Kind::copy_out: whether as binary.
    [[nodiscard]] bool copy_binary() const noexcept;

private:
    struct Free {
        void operator()(pg_result* result) const noexcept;
    };
    std::unique_ptr<pg_result, Free> result_;
};

struct Notification {
    std::string channel;
    std::string payload;
    int pid = 0;
};

struct Notice {
    ErrorFields fields;
};

enum class Progress : unsigned char { wants_read, wants_write, done, failed };

/// A cancel request on its way, without blocking and encrypted like its session. Only where `features().async_cancel`.
class CancelRequest {
public:
    explicit CancelRequest(pg_cancel_conn* owned) noexcept : request_(owned) {}
    /// Begins; then wait for what `poll` wants, at first to write, until it is done or failed. The socket may change.
    [[nodiscard]] bool start();
    [[nodiscard]] Progress poll();
    [[nodiscard]] int socket() const noexcept;
    [[nodiscard]] std::string error() const;

private:
    struct Free {
        void operator()(pg_cancel_conn* request) const noexcept;
    };
    std::unique_ptr<pg_cancel_conn, Free> request_;
};

/// Cancels whatever the session it was made of runs; may be used on another thread and after the session's end.
class Canceller {
public:
    explicit Canceller(pg_cancel* owned) noexcept : cancel_(owned) {}
    /// Blocks without limit when the network is silent: never on a loop's thread. Empty on success, else why not.
    [[nodiscard]] std::string cancel() const;

private:
    struct Free {
        void operator()(pg_cancel* cancel) const noexcept;
    };
    std::unique_ptr<pg_cancel, Free> cancel_;
};

enum class TxStatus : unsigned char { idle, active, in_transaction, failed, unknown };

/// One PGconn, non-blocking.
/// Its socket may change at every `poll_connect`, under the same number: deregister before, register after, never
/// compare (LPQ-02). Wait by level or one shot only: libpq may hold bytes that it has read already (LPQ-01).
class Session {
public:
    using NoticeHandler = std::function<void(const Notice&)>;

    /// Begins to connect; `values` hold addresses, not names, or libpq resolves them here and blocks.
    explicit Session(const std::map<std::string, std::string>& values);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] Progress poll_connect();
    /// The server was asked for TLS and said that it has none.
    [[nodiscard]] bool lacks_tls() const noexcept { return tls_answer_ == 'N'; }
    [[nodiscard]] bool encrypted() const noexcept;
    /// -1 where there is none.
    [[nodiscard]] int socket() const noexcept;
    [[nodiscard]] bool good() const noexcept;
    [[nodiscard]] TxStatus transaction() const noexcept;
    [[nodiscard]] int server_version() const noexcept;
    [[nodiscard]] int backend_pid() const noexcept;
    [[nodiscard]] std::string parameter(const std::string& name) const;
    /// Whether the server has reported that the parameter has this value.
    [[nodiscard]] bool reports(const char* parameter, std::string_view value) const noexcept;
    /// Whether text still goes both ways as UTF8: the server reports when that changes.
    [[nodiscard]] bool is_utf8() const noexcept;
    /// What libpq says about the connection as a whole; the outcome is the caller's to know.
    [[nodiscard]] ErrorFields error() const;
    /// Why it could not be opened, with the server's SQLSTATE where it gave one.
    [[nodiscard]] ErrorFields connect_error() const;

    /// Each puts one message into the buffer; `flush` moves it. They throw a ConnectionError where the connection is
    /// gone and a UsageError where libpq refuses. The text must not contain NUL.
    void send_query(const std::string& sql, const Params& params, Format results);
    void send_script(const std::string& sql);  ///< several statements, no parameters, not in a pipeline
    void send_prepare(const std::string& name, const std::string& sql, const std::vector<Oid>& types);
    void send_describe(const std::string& name);
    void send_describe_portal(const std::string& name);
    void send_prepared(const std::string& name, const Params& params, Format results);
    void enter_pipeline();
    void exit_pipeline();
    [[nodiscard]] bool in_pipeline() const noexcept;
    void send_sync();
    /// The rows of the statement just sent come a few at a time.
    void single_row_mode();

    enum class CopyData : unsigned char { row, none_yet, end };
    static constexpr std::size_t most_copied = 1 << 20;  ///< by one `put_copy`
    /// False: the buffer is full; flush and try again.
    [[nodiscard]] bool put_copy(std::string_view bytes);
    /// Ends a COPY to the server, by a failure where a reason is given. False as above.
    [[nodiscard]] bool end_copy(const char* reason);
    /// Takes the next piece of a COPY from the server.
    [[nodiscard]] CopyData get_copy(std::string& into);

    /// true when all is sent; false: wait for readable *and* writable, `consume_input` when readable, again (LPQ-04).
    [[nodiscard]] bool flush();
    /// What is sent from now on goes in one piece, by the first `flush` after it was let go, where that can be done.
    void hold_back() noexcept;
    void let_go() noexcept;
    [[nodiscard]] bool holds_back() const noexcept { return held_; }
    /// Whether the two that follow mean something: not where records of TLS are read one by one, nor without TCP.
    [[nodiscard]] bool counts_bytes() const noexcept;
    /// Whether what is put goes at once, or a part of it, as something stands before it or libpq wants to be rid of it.
    [[nodiscard]] bool sends_early() const noexcept;
    /// Its socket is readable when about so many bytes have come, or its end; 1 unless told.
    void wake_at(std::size_t bytes) noexcept;
    /// Bytes that have come and were not read.
    [[nodiscard]] std::size_t at_hand() const noexcept;
    /// In a round trip to the server little could be done.
    [[nodiscard]] bool near() const noexcept;
    /// Throws a ConnectionError where the connection is gone.
    void consume_input();
    /// Nothing has come that was not read, not even the end.
    [[nodiscard]] bool silent() const noexcept;
    /// Whether `next_result` would block.
    [[nodiscard]] bool busy() const noexcept;
    /// nullopt: the end of a statement. In a pipeline that separates queries (LPQ-07).
    [[nodiscard]] std::optional<Result> next_result();
    [[nodiscard]] std::optional<Notification> next_notification();
    [[nodiscard]] Canceller canceller() const;
    [[nodiscard]] CancelRequest cancel_request() const;
    /// Cuts the connection under whoever waits for it; the session stays to be read to its end.
    void hang_up() noexcept;

    void on_notice(NoticeHandler handler) { notice_handler_ = std::move(handler); }
    /// The last one of severity WARNING or worse, as "57P01: terminating connection …".
    [[nodiscard]] const std::string& last_warning() const noexcept { return last_warning_; }

    [[nodiscard]] const pg_conn* raw() const noexcept { return connection_.get(); }

private:
    struct Finish {
        void operator()(pg_conn* connection) const noexcept;
    };
    static void receive_notice(void* self, const pg_result* result) noexcept;
    void check_sent(int sent, const std::string& sql) const;
    [[nodiscard]] bool keeps_back() const noexcept;

    std::unique_ptr<pg_conn, Finish> connection_;
    NoticeHandler notice_handler_;
    std::string last_warning_;
    char tls_answer_ = '\0';
    bool can_hold_ = true;
    std::size_t wakes_at_ = 1;
    bool held_ = false;
    bool clogged_ = false;  // a part of what was to go did not
};

}  // namespace coaio::db::pq
