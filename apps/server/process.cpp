// SPDX-License-Identifier: MIT
#include "server/process.hpp"

#include <coaio/core/error.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace server {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
    throw coaio::Error(what + ": " + std::generic_category().message(error));
}

// In the child of a process with threads: only what is safe in a signal handler.
bool become(const Account& account) noexcept {
    if (account.uid == geteuid()) return true;
    return setgroups(1, &account.gid) == 0 && setgid(account.gid) == 0 && setuid(account.uid) == 0;
}

}  // namespace

Account database_account() {
    if (geteuid() != 0) return {geteuid(), getegid(), "this user"};
    for (const char* name : {"postgres", "nobody"}) {
        const passwd* user = getpwnam(name);
        if (user != nullptr && user->pw_uid != 0) return {user->pw_uid, user->pw_gid, name};
    }
    throw coaio::Error(
        "Postgres does not run as root, and here is neither a user postgres nor nobody to run it as; start "
        "the server as another user, or give it a --database-url");
}

pid_t spawn(const Command& command, const Account& account, const std::filesystem::path& log) {
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    std::array<std::string, 5> texts = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "LANG=C.UTF-8", "HOME=/", "TZ=UTC"};
    std::array<char*, 6> environment{};
    for (std::size_t i = 0; i < texts.size(); ++i) environment[i] = texts[i].data();

    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) fail("cannot write " + log.string(), errno);
    // A signal that comes before the program is there must not run a handler of ours in the child.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t child = fork();
    if (child != 0) {
        const int error = errno;
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        close(out);
        if (child < 0) fail("cannot start " + command.front(), error);
        return child;
    }

    for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    close_range(3, ~0U, 0);
    if (!become(account) || chdir("/") != 0) _exit(126);
    execve(argv[0], argv.data(), environment.data());
    _exit(127);
}

int wait_for_child(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) fail("cannot wait for process " + std::to_string(child), errno);
    }
    return status;
}

std::string describe_status(int status) {
    if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
    return "ended with code " + std::to_string(WEXITSTATUS(status));
}

int why_closed(const Account& account, const std::filesystem::path& folder) {
    const pid_t child = fork();
    if (child < 0) fail("cannot start a process", errno);
    if (child == 0) {
        if (!become(account)) _exit(EPERM);
        _exit(chdir(folder.c_str()) == 0 ? 0 : errno);
    }
    const int status = wait_for_child(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

}  // namespace server
