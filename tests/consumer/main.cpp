// SPDX-License-Identifier: MIT
// Includes the umbrella of each module that it links, and calls something of the library.
#ifdef WITH_CORE
#include <coaio/core.hpp>
#endif
#ifdef WITH_NET
#include <coaio/net.hpp>
#endif
#ifdef WITH_HTTP
#include <coaio/http.hpp>
#endif
#ifdef WITH_DB
#include <coaio/db.hpp>
#endif

#include <iostream>

int main() {
    std::cout << "coaio " << coaio::version() << '\n';
    return coaio::version().empty() ? 1 : 0;
}
