// SPDX-License-Identifier: MIT
#include "support/watch.hpp"

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <sys/time.h>
#include <unistd.h>

namespace tests {
namespace {

std::array<char, 400> hung_message;

void set_alarm(long seconds) {
    itimerval timer{};
    timer.it_value.tv_sec = seconds;
    setitimer(ITIMER_REAL, &timer, nullptr);
}

long case_limit() {
    for (const char* name : {"COAIO_TEST_LIMIT", "COAIO_TEST_LIMIT_DEFAULT"}) {
        const char* text = std::getenv(name);
        if (text != nullptr && *text != '\0') return std::strtol(text, nullptr, 10);
    }
    return 60;
}

// Catch2 handles SIGABRT by reporting, which is not safe here: whatever hangs may hold any lock.
void on_alarm(int) {
    [[maybe_unused]] auto written = write(STDERR_FILENO, hung_message.data(), std::strlen(hung_message.data()));
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
}

}  // namespace

void watch_case(const std::string& name) {
    long limit = case_limit();
    std::string text = "\nHUNG: the test case \"" + name + "\" ran into its limit of " + std::to_string(limit) + " s\n";
    hung_message.fill('\0');
    text.copy(hung_message.data(), hung_message.size() - 1);
    struct sigaction action{};
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, nullptr);
    set_alarm(limit);
}

void unwatch_case() { set_alarm(0); }

std::map<int, std::string> open_descriptors() {
    std::map<int, std::string> found;
    DIR* folder = opendir("/proc/self/fd");
    if (folder == nullptr) return found;
    while (const dirent* entry = readdir(folder)) {
        int fd = std::atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(folder)) continue;
        std::array<char, 256> target{};
        std::string path = "/proc/self/fd/" + std::string(entry->d_name);
        auto length = readlink(path.c_str(), target.data(), target.size() - 1);
        found[fd] = length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : "?";
    }
    closedir(folder);
    return found;
}

}  // namespace tests
