// SPDX-License-Identifier: MIT
#include "server/postmaster_file.hpp"

#include <coaio/core/error.hpp>

#include <charconv>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <vector>

namespace server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_bytes = 64 * 1024;

std::string read_start(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string text(most_bytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = text.find(at);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return parts;
}

int number_of(std::string_view text) {
    int value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc() && result.ptr == text.data() + text.size() ? value : 0;
}

bool has_server(const fs::path& folder) {
    std::error_code ignored;
    return fs::exists(folder / "postgres", ignored) && fs::exists(folder / "initdb", ignored);
}

}  // namespace

std::optional<PostmasterFile> read_postmaster_file(const fs::path& cluster) {
    const std::vector<std::string> lines = split(read_start(cluster / "postmaster.pid"), '\n');
    if (lines.size() < 5) return std::nullopt;
    PostmasterFile found;
    found.pid = number_of(lines[0]);
    found.port = lines[3];
    found.socket_folder = lines[4];
    found.ready = lines.size() > 7 && lines[7].starts_with("ready");
    if (found.pid <= 1) return std::nullopt;
    return found;
}

bool is_postmaster_of(pid_t pid, const fs::path& cluster) {
    const std::vector<std::string> words = split(read_start("/proc/" + std::to_string(pid) + "/cmdline"), '\0');
    if (words.empty() || fs::path(words.front()).filename() != "postgres") return false;
    for (std::size_t i = 1; i + 1 < words.size(); ++i) {
        if (words[i] == "-D") return words[i + 1] == cluster.string();
    }
    return false;
}

std::string end_of_file(const fs::path& file) {
    constexpr std::streamoff most = 2000;
    std::ifstream in(file, std::ios::binary | std::ios::ate);
    const std::streamoff size = in.tellg();
    if (size <= 0) return {};
    in.seekg(size > most ? size - most : 0);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (size > most) text.erase(0, text.find('\n') + 1);
    return text;
}

fs::path find_postgres(std::optional<int> major) {
    // Debian keeps one folder a version.
    const fs::path debian = "/usr/lib/postgresql";
    int best = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(debian, ignored)) {
        const int version = number_of(entry.path().filename().string());
        if (version > best && (!major || version == *major) && has_server(entry.path() / "bin")) best = version;
    }
    if (best != 0) return debian / std::to_string(best) / "bin";
    if (major) {
        throw coaio::Error("its Postgres cluster was made by PostgreSQL " + std::to_string(*major) +
                           ", which is not installed here. Install that version (Debian: postgresql-" +
                           std::to_string(*major) + "), or take another folder with --data-dir");
    }
    throw coaio::Error(
        "no PostgreSQL server is installed here. Install one (Debian: apt-get install postgresql), or name "
        "a running one with --database-url or DATABASE_URL");
}

}  // namespace server
