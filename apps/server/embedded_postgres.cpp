// SPDX-License-Identifier: MIT
#include "server/embedded_postgres.hpp"

#include <coaio/core/error.hpp>
#include <coaio/core/io.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/postmaster_file.hpp"
#include "server/process.hpp"

namespace server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::string_view socket_name = "/.s.PGSQL.5432";
constexpr std::size_t longest_socket_path = 107;
constexpr std::string_view socket_folder_prefix = "coaio-pg-";
constexpr auto step_limit = std::chrono::minutes(10);  // of one blocking step: initdb on a slow disk
constexpr auto start_limit = std::chrono::minutes(5);  // a crash recovery included
constexpr auto fast_limit = 60s;
constexpr auto largest_log = std::uintmax_t{16} << 20;

[[noreturn]] void fail(const std::string& what, int error) {
    throw coaio::Error(what + ": " + std::generic_category().message(error));
}

[[noreturn]] void fail_with_log(const std::string& what, const fs::path& log) {
    const std::string end = end_of_file(log);
    throw coaio::Error(what + (end.empty() ? "; see " + log.string() : "; the end of " + log.string() + ":\n" + end));
}

// A folder that only the account can enter. One that is there already is taken as it is, if it is the account's.
void make_private(const fs::path& folder, const Account& account) {
    if (mkdir(folder.c_str(), 0700) != 0) {
        if (errno != EEXIST) fail("cannot make the folder " + folder.string(), errno);
        struct stat info{};
        if (lstat(folder.c_str(), &info) != 0) fail("cannot look at " + folder.string(), errno);
        if (!S_ISDIR(info.st_mode) || info.st_uid != account.uid) {
            throw coaio::Error(folder.string() + " is not a folder of " + account.name +
                               ", under which Postgres runs; take another --data-dir, or remove it");
        }
        return;
    }
    if (account.uid != geteuid() && chown(folder.c_str(), account.uid, account.gid) != 0) {
        fail("cannot give the folder " + folder.string() + " to " + account.name, errno);
    }
}

// In a name that Postgres takes from its command line a comma begins the next one.
bool is_plain(std::string_view path) {
    return std::all_of(path.begin(), path.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._-+").find(c) != std::string_view::npos;
    });
}

// libpq's connection strings quote with ' and \.
std::string libpq_quoted(std::string_view value) {
    std::string text = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') text += '\\';
        text += c;
    }
    return text + "'";
}

void make_cluster(const fs::path& folder, const fs::path& binaries, const Account& account, const fs::path& log) {
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().filename().string().starts_with("cluster.new-")) fs::remove_all(entry.path());
    }
    std::string fresh = (folder / "cluster.new-XXXXXX").string();
    if (mkdtemp(fresh.data()) == nullptr) fail("cannot make the folder " + fresh, errno);
    if (account.uid != geteuid() && chown(fresh.c_str(), account.uid, account.gid) != 0) {
        fail("cannot give the folder " + fresh + " to " + account.name, errno);
    }
    const Command command = {(binaries / "initdb").string(),
                             "-D",
                             fresh,
                             "-U",
                             "coaio",
                             "-A",
                             "trust",
                             "-E",
                             "UTF8",
                             "--locale=C.UTF-8",
                             "--no-instructions",
                             "--data-checksums"};
    const int status = wait_for_child(spawn(command, account, log));
    if (status != 0) {
        std::error_code ignored;
        fs::remove_all(fresh, ignored);
        fail_with_log(
            "a Postgres cluster could not be made in " + folder.string() + ": initdb " + describe_status(status), log);
    }
    fs::rename(fresh, folder / "cluster");
}

int major_of(const fs::path& cluster) {
    std::ifstream in(cluster / "PG_VERSION");
    int major = 0;
    in >> major;
    if (major == 0) throw coaio::Error(cluster.string() + " holds no Postgres cluster; take another --data-dir");
    return major;
}

}  // namespace

// The postmaster, ours or adopted, by a descriptor that cannot come to mean another process. By system call: in glibc
// 2.36 the header of the wrappers is not fit for C++.
struct EmbeddedPostgres::Process {
    Process(pid_t number, bool own)
        : pid(number), child(own), descriptor(static_cast<int>(syscall(SYS_pidfd_open, number, 0))) {
        if (descriptor < 0) fail("cannot watch process " + std::to_string(number), errno);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() { close(descriptor); }

    void send(int number) const noexcept { syscall(SYS_pidfd_send_signal, descriptor, number, nullptr, 0); }
    [[nodiscard]] int reap() const {
        int status = 0;
        if (child) static_cast<void>(waitpid(pid, &status, WNOHANG));
        return status;
    }

    pid_t pid;
    bool child;
    int descriptor;
};

fs::path EmbeddedPostgres::default_folder() {
    if (geteuid() == 0) return "/var/lib/coaio-server";
    if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/') {
        return fs::path(data) / "coaio-server";
    }
    if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
        return fs::path(home) / ".local/share/coaio-server";
    }
    throw coaio::Error("there is no HOME to keep the database in; say where with --data-dir");
}

EmbeddedPostgres::EmbeddedPostgres(fs::path folder, std::size_t connections) : connections_(connections) {
    folder_ = fs::absolute(folder.empty() ? default_folder() : folder).lexically_normal();
    std::error_code failure;
    fs::create_directories(folder_, failure);
    if (failure) fail("cannot make the folder " + folder_.string(), failure.value());
    folder_ = fs::canonical(folder_);
    const fs::path lock = folder_ / "lock";
    lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) fail("cannot write to the folder " + folder_.string(), errno);
    if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        std::array<char, 16> text{};
        const ssize_t size = read(lock_, text.data(), text.size());
        close(lock_);
        if (error != EWOULDBLOCK) fail("cannot lock " + lock.string(), error);
        throw coaio::Error(
            "another coaio-server" +
            (size > 0 ? " (process " + std::string(text.data(), static_cast<std::size_t>(size)) + ")" : "") +
            " uses the folder " + folder_.string() + "; stop it, or take another with --data-dir");
    }
    const std::string number = std::to_string(getpid());
    if (ftruncate(lock_, 0) != 0 || pwrite(lock_, number.data(), number.size(), 0) < 0) {
        const int error = errno;
        close(lock_);
        fail("cannot write " + lock.string(), error);
    }
}

EmbeddedPostgres::~EmbeddedPostgres() { close(lock_); }

pid_t EmbeddedPostgres::pid() const noexcept { return process_ ? process_->pid : 0; }

std::string EmbeddedPostgres::conninfo() const {
    return "host=" + libpq_quoted(socket_folder_.string()) + " port=5432 user=coaio dbname=postgres";
}

fs::path EmbeddedPostgres::binaries() const { return find_postgres(major_of(cluster())); }

void EmbeddedPostgres::prepare_folder() {
    const Account account = database_account();
    if (const int error = why_closed(account, folder_); error != 0) {
        fail("the folder " + folder_.string() + " is closed to the user " + account.name +
                 ", under which Postgres runs when the server is started by root. Take one that others can enter with "
                 "--data-dir, such as /var/lib/coaio-server",
             error);
    }
    std::error_code ignored;
    if (fs::file_size(log(), ignored) > largest_log && !ignored) {
        fs::rename(log(), fs::path(log()) += ".old", ignored);
    }
    if (!fs::exists(cluster())) make_cluster(folder_, find_postgres(std::nullopt), account, log());
}

bool EmbeddedPostgres::adopt() {
    const auto file = read_postmaster_file(cluster());
    if (!file) return false;
    if (!is_postmaster_of(file->pid, cluster())) {
        // Postgres itself would take a process that has got the same number since for its other self, and refuse.
        if (kill(file->pid, 0) == 0) {
            std::error_code ignored;
            fs::remove(cluster() / "postmaster.pid", ignored);
        }
        socket_folder_ = file->socket_folder;
        drop_socket_folder();
        return false;
    }
    try {
        process_ = std::make_unique<Process>(file->pid, false);
    } catch (const coaio::Error&) {
        return false;  // it ended just now
    }
    socket_folder_ = file->socket_folder;
    adopted_ = true;
    return true;
}

void EmbeddedPostgres::choose_socket_folder() {
    const Account account = database_account();
    socket_folder_ = folder_ / "run";
    if (socket_folder_.string().size() + socket_name.size() <= longest_socket_path &&
        is_plain(socket_folder_.string())) {
        make_private(socket_folder_, account);
        return;
    }
    std::vector<std::string> places;
    if (geteuid() == 0) places.emplace_back("/run");
    if (const char* own = std::getenv("XDG_RUNTIME_DIR"); geteuid() != 0 && own != nullptr) places.emplace_back(own);
    places.emplace_back("/tmp");
    int error = ENAMETOOLONG;
    for (const std::string& place : places) {
        std::string name = place + "/" + std::string(socket_folder_prefix) + "XXXXXX";
        if (name.size() + socket_name.size() > longest_socket_path || !is_plain(name)) continue;
        if (mkdtemp(name.data()) == nullptr) {
            error = errno;
            continue;
        }
        socket_folder_ = name;
        if (account.uid != geteuid() && chown(name.c_str(), account.uid, account.gid) != 0) {
            fail("cannot give the folder " + name + " to " + account.name, errno);
        }
        return;
    }
    fail("there is no place for the socket of Postgres: " + (folder_ / "run").string() +
             " is too long for one, and neither /run nor /tmp can be written to; take a shorter --data-dir",
         error);
}

// What a socket outside our folder leaves behind.
void EmbeddedPostgres::drop_socket_folder() noexcept {
    if (!socket_folder_.filename().string().starts_with(socket_folder_prefix)) return;
    const std::string base = socket_folder_.string() + std::string(socket_name);
    unlink(base.c_str());
    unlink((base + ".lock").c_str());
    rmdir(socket_folder_.c_str());
}

coaio::Coro<> EmbeddedPostgres::launch() {
    adopted_ = false;
    co_await coaio::masked(coaio::to_thread([this] {
                               choose_socket_folder();
                               const Command command = {(binaries() / "postgres").string(),
                                                        "-D",
                                                        cluster().string(),
                                                        "-c",
                                                        "listen_addresses=",
                                                        "-c",
                                                        "unix_socket_directories=" + socket_folder_.string(),
                                                        "-c",
                                                        "unix_socket_permissions=0700",
                                                        "-c",
                                                        "port=5432",
                                                        "-c",
                                                        "max_connections=" + std::to_string(connections_),
                                                        "-c",
                                                        "timezone=UTC",
                                                        "-c",
                                                        "log_timezone=UTC",
                                                        "-c",
                                                        "logging_collector=off",
                                                        "-c",
                                                        "log_destination=stderr"};
                               process_ = std::make_unique<Process>(spawn(command, database_account(), log()), true);
                           }),
                           {.deadline = step_limit});
}

coaio::Coro<bool> EmbeddedPostgres::exits_within(coaio::Duration limit) {
    // A copy: a descriptor is waited for by one task at a time.
    struct Copy {
        explicit Copy(int other) : number(fcntl(other, F_DUPFD_CLOEXEC, 3)) {
            if (number < 0) fail("cannot watch Postgres", errno);
        }
        Copy(const Copy&) = delete;
        Copy& operator=(const Copy&) = delete;
        ~Copy() { close(number); }
        int number;
    };
    const Copy copy(process_->descriptor);
    try {
        co_await coaio::wait_for(coaio::io::wait_readable(copy.number), limit);
    } catch (const coaio::TimeoutError&) {
        co_return false;
    }
    co_return true;
}

coaio::Coro<> EmbeddedPostgres::await_ready() {
    const coaio::TimePoint deadline = coaio::Clock::now() + start_limit;
    for (;;) {
        const auto file = read_postmaster_file(cluster());
        if (file && file->pid == process_->pid && file->ready) {
            socket_folder_ = file->socket_folder;
            co_return;
        }
        // Postgres gives no sign but its file.
        const bool gone = co_await exits_within(20ms);
        if (gone && adopted_) {
            co_await launch();
        } else if (gone) {
            const int status = process_->reap();
            process_.reset();
            fail_with_log("Postgres " + describe_status(status) + " when it was started", log());
        }
        if (coaio::Clock::now() > deadline) fail_with_log("Postgres does not become ready", log());
    }
}

coaio::Coro<> EmbeddedPostgres::start() {
    co_await coaio::masked(coaio::to_thread([this] { prepare_folder(); }), {.deadline = step_limit});
    std::exception_ptr failure;
    try {
        if (!adopt()) co_await launch();
        co_await await_ready();
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await coaio::masked(stop(), {.deadline = step_limit});
        std::rethrow_exception(failure);
    }
}

coaio::Coro<> EmbeddedPostgres::ended() {
    for (;;) {
        const bool gone = co_await exits_within(std::chrono::hours(1));
        if (gone) co_return;
    }
}

coaio::Coro<> EmbeddedPostgres::stop() {
    if (process_) {
        process_->send(SIGINT);  // "fast": sessions are ended, all is written out
        const bool gone = co_await exits_within(fast_limit);
        if (!gone) {
            process_->send(SIGQUIT);
            const bool gone_now = co_await exits_within(fast_limit);
            if (!gone_now) throw coaio::Error("Postgres (process " + std::to_string(process_->pid) + ") does not stop");
        }
        static_cast<void>(process_->reap());
        process_.reset();
    }
    drop_socket_folder();
}

}  // namespace server
