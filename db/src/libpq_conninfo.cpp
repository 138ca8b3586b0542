// SPDX-License-Identifier: MIT
#include "libpq.hpp"

#include <libpq-fe.h>

#include <new>

namespace coaio::db::pq {
namespace {

struct FreeOptions {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

struct FreeMemory {
    void operator()(char* memory) const noexcept { PQfreemem(memory); }
};

struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};

std::string trimmed(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

std::map<std::string, std::string> all_values(Options options) {
    if (!options) throw std::bad_alloc();
    std::map<std::string, std::string> values;
    for (const PQconninfoOption* each = options.get(); each->keyword != nullptr; ++each) {
        values[each->keyword] = each->val != nullptr ? each->val : "";
    }
    return values;
}

ParsedConninfo unable_to_begin(std::map<std::string, std::string> values,
                               const std::map<std::string, std::string>& obstacles) {
    for (const auto& [key, value] : obstacles) values[key] = value;
    std::vector<const char*> keys;
    std::vector<const char*> texts;
    for (const auto& [key, value] : values) {
        keys.push_back(key.c_str());
        texts.push_back(value.c_str());
    }
    keys.push_back(nullptr);
    texts.push_back(nullptr);
    const std::unique_ptr<PGconn, Finish> connection(PQconnectStartParams(keys.data(), texts.data(), 0));
    if (!connection) throw std::bad_alloc();
    ParsedConninfo found;
    Options options(PQconninfo(connection.get()));
    if (options) found.values = all_values(std::move(options));
    for (const auto& [key, value] : obstacles) {
        if (found.values[key] != value) found.problem = trimmed(PQerrorMessage(connection.get()));
    }
    return found;
}

}  // namespace

ParsedConninfo parse_conninfo(const std::string& text) {
    ParsedConninfo parsed;
    char* message = nullptr;
    Options options(PQconninfoParse(text.c_str(), &message));
    std::unique_ptr<char, FreeMemory> owned(message);
    if (!options) {
        if (message == nullptr) throw std::bad_alloc();
        parsed.problem = trimmed(message);
        return parsed;
    }
    for (const PQconninfoOption* each = options.get(); each->keyword != nullptr; ++each) {
        if (each->val != nullptr) parsed.values[each->keyword] = each->val;
    }
    return parsed;
}

std::map<std::string, std::string> conninfo_defaults() { return all_values(Options(PQconndefaults())); }

// Only libpq knows where its service files are and how they are read, and it shows what it found in a connection alone.
// So two are made that cannot begin: the first has more ports than hosts, the second a mode that does not exist, and a
// password, so that no password file is looked for.
ParsedConninfo service_defaults(const std::map<std::string, std::string>& given) {
    ParsedConninfo found = unable_to_begin(given, {{"hostaddr", "127.0.0.1"}, {"port", "1,1"}});
    if (!found.problem.empty()) return found;
    ParsedConninfo places = unable_to_begin(given, {{"password", "-"}, {"sslmode", "-"}});
    for (const char* const key : {"hostaddr", "port"}) found.values[key] = places.values[key];
    return found;
}

int library_version() noexcept { return PQlibVersion() / 10000; }

}  // namespace coaio::db::pq
