// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace coaio::db {

/// One server that may be tried. A host that is empty or begins with '/' or '@' is a Unix socket's.
struct Host {
    std::string name;
    std::string address;  ///< hostaddr, where the user gave one
    std::string port;

    [[nodiscard]] bool is_socket() const noexcept {
        return address.empty() && (name.empty() || name.front() == '/' || name.front() == '@');
    }
};

/// What to connect to and how: a URI or key=value pairs, as libpq reads them. Holds secrets: never print `get`.
class Conninfo {
public:
    /// Throws UsageError for what cannot be understood, with no word of the text that might be a password.
    [[nodiscard]] static Conninfo parse(std::string_view text);

    /// What was given, or what its service or the environment says, or libpq's default; empty where there is none.
    [[nodiscard]] std::string get(const std::string& key) const;
    [[nodiscard]] bool given(const std::string& key) const { return given_.count(key) != 0; }
    /// Throws UsageError for a NUL byte or a key libpq does not know.
    void set(const std::string& key, std::string value);
    void set_default(const std::string& key, const std::string& value);

    /// A password file that libpq will not read, since others can, in words for a warning; empty where all is well, or no
    /// password is looked for.
    [[nodiscard]] std::string passfile_problem() const;

    /// In the order in which they are to be tried.
    [[nodiscard]] std::vector<Host> hosts() const;
    /// The keys and values to hand to libpq.
    [[nodiscard]] const std::map<std::string, std::string>& given() const noexcept { return given_; }
    /// "user@host:port/database", for errors and dumps. No secrets.
    [[nodiscard]] std::string to_string() const;

private:
    void check() const;

    std::map<std::string, std::string> given_;
    std::map<std::string, std::string> defaults_;  ///< every key there is, by the service, the environment or libpq
};

}  // namespace coaio::db
