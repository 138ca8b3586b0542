// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <stdexcept>

#include <sys/prctl.h>
#include <unistd.h>

namespace tests {

/// Runs a hidden test of this program in a process of its own, which ends with this one at the latest. A mere fork would
/// go on without the threads of this process, and perhaps with what they had locked.
inline pid_t start_hidden_test(const char* tag) {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid > 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execl("/proc/self/exe", "coaio-db-tests", tag, "-o", "/dev/null", nullptr);
    ::_exit(127);
}

}  // namespace tests
