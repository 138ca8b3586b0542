// SPDX-License-Identifier: MIT
// Streams under seeds and every cut: what is read is what was written, nothing hangs, nothing is left.
#include "net/stream_worlds.hpp"
#include "support/catch.hpp"

using tests::Cut;
using tests::Kind;
using tests::prove;
using tests::StreamWorld;

TEST_CASE("a memory pipe under seeds and every cut of its writer, and of its reader") {
    prove<StreamWorld<Kind::memory, Cut::writer>>();
    prove<StreamWorld<Kind::memory, Cut::reader>>();
}

TEST_CASE("a simulated connection under seeds and every cut of its writer, and of its reader") {
    prove<StreamWorld<Kind::simulated, Cut::writer>>();
    prove<StreamWorld<Kind::simulated, Cut::reader>>();
}

TEST_CASE("a rough connection under seeds and every cut of its writer") {
    prove<StreamWorld<Kind::rough, Cut::writer>>();
}

TEST_CASE("a rough connection under seeds and every cut of its reader") {
    prove<StreamWorld<Kind::rough, Cut::reader>>();
}

TEST_CASE("TLS over memory under seeds and every cut of its writer") {
    prove<StreamWorld<Kind::tls_over_memory, Cut::writer>>();
}

TEST_CASE("TLS over memory under seeds and every cut of its reader") {
    prove<StreamWorld<Kind::tls_over_memory, Cut::reader>>();
}
