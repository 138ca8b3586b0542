// SPDX-License-Identifier: MIT
#include "conninfo.hpp"

#include "libpq.hpp"

#include <coaio/db/error.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <sys/stat.h>

namespace coaio::db {
namespace {

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    std::size_t start = 0;
    for (;;) {
        std::size_t comma = list.find(',', start);
        parts.push_back(list.substr(start, comma == std::string::npos ? comma : comma - start));
        if (comma == std::string::npos) return parts;
        start = comma + 1;
    }
}

// libpq quotes the piece it stumbled over, which may be the password or a part of it. A key it does not know may be
// shown where nothing secret can have been taken for a key.
std::string without_secrets(const std::string& problem, std::string_view text) {
    std::size_t first = problem.find('"');
    std::size_t last = problem.rfind('"');
    if (first == std::string::npos || first == last) return problem;
    std::string piece = problem.substr(first + 1, last - first - 1);
    bool is_key = problem.find("option") != std::string::npos || problem.find("query parameter") != std::string::npos;
    bool is_word = std::all_of(piece.begin(), piece.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    std::size_t at = text.rfind(piece);
    bool after_secret = text.substr(0, at).find("password") != std::string_view::npos ||
                        text.find('@', at == std::string_view::npos ? 0 : at) != std::string_view::npos;
    if (is_key && is_word && !after_secret) return problem;
    return problem.substr(0, first) + "\"…\"" + problem.substr(last + 1);
}

// Options that came after libpq 15.
std::string too_new(const std::string& problem) {
    struct Newer {
        const char* key;
        int since;
        const char* instead;
    };
    static constexpr std::array<Newer, 6> newer = {{{"\"require_auth\"", 16, ""},
                                                    {"\"sslcertmode\"", 16, ""},
                                                    {"\"load_balance_hosts\"", 16, "; balance_hosts() does the same"},
                                                    {"\"sslnegotiation\"", 17, ""},
                                                    {"\"min_protocol_version\"", 18, ""},
                                                    {"\"servicefile\"", 18, ""}}};
    for (const Newer& each : newer) {
        if (problem.find(each.key) == std::string::npos || pq::library_version() >= each.since) continue;
        return ": libpq has that from version " + std::to_string(each.since) + " on, and this one is " +
               std::to_string(pq::library_version()) + each.instead;
    }
    return {};
}

[[noreturn]] void refuse(const std::string& why) { throw UsageError("the connection string is not valid: " + why); }

void refuse_nul(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) refuse("it contains a NUL byte");
}

// libpq takes the rest of such a password for a host or a database, which are named in messages.
void refuse_unescaped(std::string_view text) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos || text.substr(0, scheme).find_first_of(" =") != std::string_view::npos)
        return;
    text.remove_prefix(scheme + 3);
    const std::size_t user = text.find_first_of("@/");
    if (user != std::string_view::npos && text[user] == '@') text.remove_prefix(user + 1);
    if (text.substr(0, text.find('?')).find('@') == std::string_view::npos) return;
    refuse("an @ in a user's name, a password or a database's name has to be written as %40, and a / as %2F");
}

}  // namespace

Conninfo Conninfo::parse(std::string_view text) {
    refuse_nul(text);
    refuse_unescaped(text);
    Conninfo made;
    made.defaults_ = pq::conninfo_defaults();
    auto parsed = pq::parse_conninfo(std::string(text));
    if (!parsed.problem.empty()) refuse(without_secrets(parsed.problem, text) + too_new(parsed.problem));
    made.given_ = std::move(parsed.values);
    if (made.given("service")) {
        auto service = pq::service_defaults(made.given_);
        if (!service.problem.empty()) refuse(service.problem);
        made.defaults_ = std::move(service.values);
    }
    made.check();
    return made;
}

std::string Conninfo::get(const std::string& key) const {
    if (auto at = given_.find(key); at != given_.end()) return at->second;
    auto at = defaults_.find(key);
    return at == defaults_.end() ? std::string() : at->second;
}

void Conninfo::set(const std::string& key, std::string value) {
    refuse_nul(value);
    if (defaults_.count(key) == 0) refuse("there is no option \"" + key + "\" in this libpq");
    given_[key] = std::move(value);
}

void Conninfo::set_default(const std::string& key, const std::string& value) {
    if (defaults_.count(key) != 0 && get(key).empty()) given_[key] = value;
}

void Conninfo::check() const {
    // A value may hold a NUL that was written as %00.
    for (const auto& [key, value] : given_) refuse_nul(value);
    // What this libpq does not know it would not do, and not say so either.
    const char* const demand = std::getenv("PGREQUIREAUTH");
    if (demand != nullptr && *demand != '\0' && defaults_.count("require_auth") == 0) {
        refuse("PGREQUIREAUTH is set" + too_new("\"require_auth\""));
    }
    (void)hosts();
}

std::vector<Host> Conninfo::hosts() const {
    std::vector<std::string> names = split(get("host"));
    std::vector<std::string> addresses = split(get("hostaddr"));
    std::vector<std::string> ports = split(get("port"));
    bool has_addresses = !get("hostaddr").empty();
    std::size_t count = has_addresses ? addresses.size() : names.size();
    if (has_addresses && !get("host").empty() && names.size() != count) {
        refuse(std::to_string(names.size()) + " host names and " + std::to_string(count) + " addresses");
    }
    if (ports.size() != 1 && ports.size() != count) {
        refuse(std::to_string(ports.size()) + " ports and " + std::to_string(count) + " hosts");
    }
    std::vector<Host> hosts;
    for (std::size_t i = 0; i < count; ++i) {
        Host host;
        if (i < names.size()) host.name = names[i];
        if (has_addresses) host.address = addresses[i];
        host.port = ports.size() == 1 ? ports[0] : ports[i];
        if (host.port.empty()) host.port = "5432";
        bool digits = std::all_of(host.port.begin(), host.port.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (!digits || host.port.size() > 5 || std::stoi(host.port) < 1 || std::stoi(host.port) > 65535) {
            refuse("a port must be a number from 1 to 65535");
        }
        hosts.push_back(std::move(host));
    }
    return hosts;
}

std::string Conninfo::passfile_problem() const {
    if (!get("password").empty()) return {};
    std::string path = get("passfile");
    const char* const home = std::getenv("HOME");
    if (path.empty() && home != nullptr) path = std::string(home) + "/.pgpass";
    struct stat found{};
    if (path.empty() || ::stat(path.c_str(), &found) != 0) return {};
    if (!S_ISREG(found.st_mode)) return "the password file " + path + " is not read: it is no plain file";
    if ((found.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
    return "the password file " + path + " is not read: others can read it too; chmod 600 it";
}

std::string Conninfo::to_string() const {
    std::string text;
    if (!get("user").empty()) text += get("user") + "@";
    bool first = true;
    for (const Host& host : hosts()) {
        if (!std::exchange(first, false)) text += ",";
        text += (host.name.empty() ? host.address : host.name) + ":" + host.port;
    }
    if (!get("dbname").empty()) text += "/" + get("dbname");
    return text;
}

}  // namespace coaio::db
