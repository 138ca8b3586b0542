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

}  // namespace

ParsedConninfo parse_conninfo(const std::string& text) {
    ParsedConninfo parsed;
    char* message = nullptr;
    Options options(PQconninfoParse(text.c_str(), &message));
    std::unique_ptr<char, FreeMemory> owned(message);
    if (!options) {
        if (message == nullptr) throw std::bad_alloc();
        parsed.problem = message;
        while (!parsed.problem.empty() && parsed.problem.back() == '\n') parsed.problem.pop_back();
        return parsed;
    }
    for (const PQconninfoOption* each = options.get(); each->keyword != nullptr; ++each) {
        if (each->val != nullptr) parsed.values[each->keyword] = each->val;
    }
    return parsed;
}

std::map<std::string, std::string> conninfo_defaults() {
    Options options(PQconndefaults());
    if (!options) throw std::bad_alloc();
    std::map<std::string, std::string> values;
    for (const PQconninfoOption* each = options.get(); each->keyword != nullptr; ++each) {
        values[each->keyword] = each->val != nullptr ? each->val : "";
    }
    return values;
}

}  // namespace coaio::db::pq
