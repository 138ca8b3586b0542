// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace server {

/// Under whom a program runs.
struct Account {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;
};

/// Whom Postgres runs as: this user, or, since Postgres refuses root, `postgres` or else `nobody`.
/// Throws `coaio::Error` where root finds neither.
[[nodiscard]] Account database_account();

/// A program with its arguments; the first is its path.
using Command = std::vector<std::string>;

/// Starts a program in a session of its own, so that no key of a terminal reaches it, with nothing of ours open but its
/// output, which is appended to `log`. Throws `coaio::Error` when that fails; from then on the caller has to wait for it.
[[nodiscard]] pid_t spawn(const Command& command, const Account& account, const std::filesystem::path& log);

/// Waits until a child has ended and gives its status as `waitpid` does. Blocks.
int wait_for_child(pid_t child);

/// "ended with code 1", "was killed by signal 9"
[[nodiscard]] std::string describe_status(int status);

/// Why the account cannot enter a folder; 0 if it can. Blocks for as long as a look takes.
[[nodiscard]] int why_closed(const Account& account, const std::filesystem::path& folder);

}  // namespace server
