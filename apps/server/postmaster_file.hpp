// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

namespace server {

/// What Postgres tells in `postmaster.pid` of its data folder (manual, chapter "Database File Layout").
struct PostmasterFile {
    pid_t pid = 0;
    std::filesystem::path socket_folder;
    std::string port;
    bool ready = false;
};

/// Nothing where there is no file, or one that is not written out yet.
[[nodiscard]] std::optional<PostmasterFile> read_postmaster_file(const std::filesystem::path& cluster);

/// Whether the process is a Postgres of this cluster: its number alone says little once the machine was started anew.
[[nodiscard]] bool is_postmaster_of(pid_t pid, const std::filesystem::path& cluster);

/// The last lines of a file, for an error message; empty where it cannot be read.
[[nodiscard]] std::string end_of_file(const std::filesystem::path& file);

/// The folder with the programs of the newest PostgreSQL of this machine, or of the one of this major version.
/// Throws `coaio::Error` where there is none.
[[nodiscard]] std::filesystem::path find_postgres(std::optional<int> major);

}  // namespace server
