// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>

#include <string>
#include <vector>

#include <sys/types.h>

namespace tests {

/// A run of one of this build's programs, in an environment of its own; killed if it still runs at the end, and when
/// this process dies.
class ChildProgram {
public:
    /// `words` are its arguments, `environment` is added to a PATH and a HOME; `out` becomes its standard output, and its
    /// standard error is appended to the file `log`.
    ChildProgram(const std::string& name, std::vector<std::string> words, std::vector<std::string> environment, int out,
                 const std::string& log);
    ChildProgram(const ChildProgram&) = delete;
    ChildProgram& operator=(const ChildProgram&) = delete;
    ~ChildProgram();

    void signal(int number) const;
    /// Waits for its end and gives the exit code; 128 and the number for a signal.
    [[nodiscard]] coaio::Coro<int> ended();
    /// 0 once its end was waited for.
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    [[nodiscard]] int wait();

    pid_t pid_ = 0;
};

/// All of a file; nothing where it is not there.
[[nodiscard]] std::string read_file(const std::string& name);

}  // namespace tests
