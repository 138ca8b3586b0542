// SPDX-License-Identifier: MIT
#include "support/postgres.hpp"

#include <libpq-fe.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/own_time.hpp"

namespace tests {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("test server: " + what); }

// Debian keeps one folder a version; a newer one wins. Something called initdb on the PATH may be of any origin.
std::string find_binaries() {
    namespace fs = std::filesystem;
    std::string best;
    int best_version = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
        int version = std::atoi(entry.path().filename().c_str());
        if (version > best_version && fs::exists(entry.path() / "bin" / "postgres")) {
            best_version = version;
            best = (entry.path() / "bin").string();
        }
    }
    if (!best.empty()) return best;
    std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
    for (std::string folder; std::getline(path, folder, ':');) {
        if (fs::exists(folder + "/postgres") && fs::exists(folder + "/initdb")) return folder;
    }
    fail("no PostgreSQL server is installed (Debian: apt-get install postgresql)");
}

std::string make_folder(uid_t uid, gid_t gid) {
    // The path of the socket, "/.s.PGSQL.5432" included, must stay below 108 bytes.
    const char* base = std::getenv("TMPDIR");
    std::string folder = base != nullptr && std::strlen(base) < 70 ? base : "/tmp";
    folder += "/coaio-pg-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) fail("mkdtemp " + folder + ": " + std::strerror(errno));
    if (uid != geteuid() && chown(folder.c_str(), uid, gid) != 0) fail("chown " + folder);
    return folder;
}

// Runs a program as the user, with its output in `log`, and returns its pid. The child dies with this process.
pid_t spawn(const std::vector<std::string>& words, uid_t uid, gid_t gid, const std::string& log, int death_signal) {
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    std::array<std::string, 5> texts = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/", "TZ=UTC", "LANG=C.UTF-8"};
    std::vector<char*> environment;
    environment.reserve(texts.size() + 1);
    for (auto& text : texts) environment.push_back(text.data());
    environment.push_back(nullptr);
    bool other_user = uid != geteuid();
    pid_t parent = getpid();

    pid_t child = fork();
    if (child < 0) fail(std::string("fork: ") + std::strerror(errno));
    if (child > 0) return child;
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int signal = 1; signal < 32; ++signal) std::signal(signal, SIG_DFL);
    int null = open("/dev/null", O_RDONLY);
    int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    close_range(3, ~0U, 0);
    if (other_user && (setgroups(1, &gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) _exit(126);
    if (chdir("/") != 0) _exit(126);
    if (death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, death_signal);
        if (getppid() != parent) _exit(125);
    }
    execve(argv[0], argv.data(), environment.data());
    _exit(127);
}

int wait_for_exit(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return status;
}

void look_again_soon() {
    // lint-ok: sleep what is waited for is another process, which gives no sign
    std::this_thread::sleep_for(5ms);
}

struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};

}  // namespace

Postgres::Postgres(const Settings& settings) : Postgres(settings, nullptr) {}

Postgres::Postgres(const Settings& settings, const Postgres* primary)
    : settings_(settings), binaries_(find_binaries()), port_(5432) {
    if (has_network()) port_ = kept_.emplace().number();
    uid_ = geteuid();
    gid_ = getegid();
    if (uid_ == 0) {
        const passwd* user = getpwnam("postgres");
        if (user == nullptr) user = getpwnam("nobody");
        if (user == nullptr) fail("neither a user postgres nor nobody to run the server as");
        uid_ = user->pw_uid;
        gid_ = user->pw_gid;
    }
    folder_ = make_folder(uid_, gid_);
    start_guard();
    try {
        if (primary != nullptr) {
            copy_cluster(*primary);
        } else {
            make_cluster();
        }
        start();
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
        kill(guard_, SIGKILL);
        wait_for_exit(guard_);
        throw;
    }
}

Postgres::~Postgres() {
    if (running()) {
        kill(server_, SIGQUIT);
        wait_for_exit(server_);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    kill(guard_, SIGKILL);
    wait_for_exit(guard_);
}

std::unique_ptr<Postgres> Postgres::standby_of(const Postgres& primary) {
    Settings settings = primary.settings_;
    settings.erase("listen_addresses");
    return std::unique_ptr<Postgres>(new Postgres(settings, &primary));
}

Postgres::Settings Postgres::for_standbys() { return {{"wal_level", "replica"}, {"max_wal_senders", "8"}}; }

Postgres& Postgres::shared() {
    static Postgres server;
    return server;
}

// It holds no descriptor of ours, so that nobody waits for it, and looks at the process table instead of a pipe, so
// that no test finds a descriptor too many.
void Postgres::start_guard() {
    static const char* const script =
        "while kill -0 \"$1\" 2>/dev/null; do sleep 0.3; done\n"
        "pid=$(head -n 1 \"$2/data/postmaster.pid\" 2>/dev/null)\n"
        "[ -n \"$pid\" ] && kill -QUIT \"$pid\" 2>/dev/null\n"
        "for i in 1 2 3 4 5 6 7 8 9 10; do [ -e \"$2/data/postmaster.pid\" ] || break; sleep 0.3; done\n"
        "rm -rf \"$2\"\n";
    guard_ = spawn({"/bin/sh", "-c", script, "coaio-pg-guard", std::to_string(getpid()), folder_}, geteuid(), getegid(),
                   "/dev/null", 0);
}

void Postgres::make_cluster() {
    std::string data = folder_ + "/data";
    int status = wait_for_exit(spawn({binaries_ + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                                      "--locale=C.UTF-8", "--no-sync", "--no-instructions"},
                                     uid_, gid_, folder_ + "/log", SIGKILL));
    if (status != 0) fail("initdb failed: " + log_end());
}

void Postgres::copy_cluster(const Postgres& primary) {
    const int status = wait_for_exit(
        spawn({binaries_ + "/pg_basebackup", "-D", folder_ + "/data", "-h", primary.folder_, "-p",
               std::to_string(primary.port_), "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync"},
              uid_, gid_, folder_ + "/log", SIGKILL));
    if (status != 0) fail("pg_basebackup failed: " + log_end());
}

std::string Postgres::write_file(const std::string& name, const std::string& text, mode_t mode) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    if (chmod(path.c_str(), mode) != 0 || (uid_ != geteuid() && chown(path.c_str(), uid_, gid_) != 0)) {
        fail("cannot write " + path);
    }
    return path;
}

void Postgres::promote() const {
    if (value("postgres", "select pg_promote()") != "t") fail("it was not promoted: " + log_end());
}

bool Postgres::await_replay(const Postgres& primary, std::chrono::milliseconds limit) const {
    const std::string written = primary.value("postgres", "select pg_current_wal_lsn()");
    return await_value("select pg_last_wal_replay_lsn() >= '" + written + "'", "t", limit);
}

bool Postgres::await_value(const std::string& statement, const std::string& wanted,
                           std::chrono::milliseconds limit) const {
    const auto deadline = Clock::now() + limit;
    while (value("postgres", statement) != wanted) {
        if (Clock::now() >= deadline) return false;
        look_again_soon();
    }
    return true;
}

void Postgres::start() {
    if (running()) return;
    Settings all = {{"listen_addresses", ""},
                    {"unix_socket_directories", folder_},
                    {"port", std::to_string(port_)},
                    {"fsync", "off"},
                    {"full_page_writes", "off"},
                    {"shared_buffers", "32MB"},
                    {"max_connections", "100"},
                    {"autovacuum", "off"},
                    {"timezone", "UTC"},
                    {"log_min_messages", "warning"},
                    {"wal_level", "minimal"},
                    {"max_wal_senders", "0"}};
    for (const auto& [key, value] : settings_) all[key] = value;
    std::vector<std::string> words = {binaries_ + "/postgres", "-D", folder_ + "/data"};
    for (const auto& [key, value] : all) {
        words.emplace_back("-c");
        words.push_back(key);
        words.back().append("=").append(value);
    }
    server_ = spawn(words, uid_, gid_, folder_ + "/log", SIGQUIT);
    await_ready();
}

void Postgres::await_ready() {
    auto deadline = Clock::now() + 60s;
    std::string info = conninfo();
    while (Clock::now() < deadline) {
        if (PQping(info.c_str()) == PQPING_OK) return;
        int status = 0;
        if (waitpid(server_, &status, WNOHANG) == server_) {
            server_ = 0;
            fail("the server ended while starting: " + log_end());
        }
        look_again_soon();
    }
    fail("the server does not answer: " + log_end());
}

void Postgres::stop(Stop how) {
    if (!running()) return;
    kill(server_, how == Stop::fast ? SIGINT : SIGQUIT);
    wait_for_exit(server_);
    server_ = 0;
}

void Postgres::restart(Stop how) {
    stop(how);
    start();
}

std::string Postgres::conninfo(const std::string& database) const {
    return "host=" + folder_ + " port=" + std::to_string(port_) + " user=postgres dbname=" + database;
}

std::string Postgres::log_end() const {
    std::ifstream file(folder_ + "/log");
    std::stringstream all;
    all << file.rdbuf();
    std::string text = all.str();
    return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

std::vector<Postgres::Row> Postgres::sql(const std::string& database, const std::string& statements) const {
    const OwnTime own;
    std::unique_ptr<PGconn, Finish> connection(PQconnectdb(conninfo(database).c_str()));
    if (PQstatus(connection.get()) != CONNECTION_OK) fail(PQerrorMessage(connection.get()));
    PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
    std::unique_ptr<PGresult, Clear> result(PQexec(connection.get(), statements.c_str()));
    auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(PQresultErrorMessage(result.get()));
    std::vector<Row> rows;
    for (int r = 0; r < PQntuples(result.get()); ++r) {
        Row row;
        for (int c = 0; c < PQnfields(result.get()); ++c) {
            if (PQgetisnull(result.get(), r, c) != 0) {
                row.emplace_back(std::nullopt);
            } else {
                row.emplace_back(PQgetvalue(result.get(), r, c));
            }
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string Postgres::value(const std::string& database, const std::string& statement) const {
    auto rows = sql(database, statement);
    if (rows.size() != 1 || rows[0].size() != 1) fail("not one value: " + statement);
    return rows[0][0].value_or("NULL");
}

bool Postgres::await_removal(const std::string& folder, std::chrono::milliseconds limit) {
    auto deadline = Clock::now() + limit;
    while (std::filesystem::exists(folder)) {
        if (Clock::now() >= deadline) return false;
        look_again_soon();
    }
    return true;
}

int Postgres::sessions(const std::string& database) const {
    return std::stoi(value("postgres", "select count(*) from pg_stat_activity where backend_type = 'client backend' "
                                       "and pid <> pg_backend_pid() and datname = '" +
                                           database + "'"));
}

bool Postgres::await_sessions(const std::string& database, int count, std::chrono::milliseconds limit) const {
    auto deadline = Clock::now() + limit;
    for (;;) {
        if (sessions(database) == count) return true;
        if (Clock::now() >= deadline) return false;
        look_again_soon();
    }
}

Database::Database(Postgres& server) : server_(&server) {
    static int made = 0;
    name_ = "t" + std::to_string(++made);
    server.sql("postgres", "create database " + name_ + " template template0");
}

Database::~Database() {
    try {
        if (server_->running()) server_->sql("postgres", "drop database if exists " + name_ + " with (force)");
    } catch (const std::exception&) {
        // The cluster goes away with everything in it anyway.
    }
}

}  // namespace tests
