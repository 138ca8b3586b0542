// SPDX-License-Identifier: MIT
#include "apps/child_program.hpp"

#include <coaio/core/to_thread.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tests {
namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> all;
    for (auto& each : words) all.push_back(each.data());
    all.push_back(nullptr);
    return all;
}

}  // namespace

ChildProgram::ChildProgram(const std::string& name, std::vector<std::string> words,
                           std::vector<std::string> environment, int out, const std::string& log) {
    const char* const binaries = std::getenv("COAIO_BIN_DIR");
    if (binaries == nullptr) throw std::runtime_error("COAIO_BIN_DIR is not set: run this by ctest");
    words.insert(words.begin(), std::string(binaries) + "/" + name);
    const auto arguments = pointers(words);
    environment.emplace_back("PATH=/usr/bin:/bin");
    environment.emplace_back("HOME=/nonexistent");
    const auto variables = pointers(environment);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        dup2(out, STDOUT_FILENO);
        dup2(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        execve(arguments[0], arguments.data(), variables.data());
        _exit(127);
    }
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    pid_ = child;
}

ChildProgram::~ChildProgram() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void ChildProgram::signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
}

int ChildProgram::wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

coaio::Coro<int> ChildProgram::ended() {
    auto waiting = coaio::to_thread([this] { return wait(); });
    co_return co_await std::move(waiting);
}

std::string read_file(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace tests
