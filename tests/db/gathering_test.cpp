// SPDX-License-Identifier: MIT
#include "gathering.hpp"

#include "support/catch.hpp"

using coaio::db::detail::Gathering;

namespace {

void answer(Gathering& gathering, std::size_t count, std::size_t bytes) {
    gathering.came(count * bytes);
    for (std::size_t i = 0; i < count; ++i) gathering.answered();
}

}  // namespace

TEST_CASE("most of the answers that are under way are waited for") {
    Gathering gathering;
    CHECK(gathering.bytes_of(16) == 1);  // how large they are is not known
    answer(gathering, 1, 50);
    CHECK(gathering.bytes_of(16) == 14 * 50);
    answer(gathering, 14, 50);
    CHECK(gathering.bytes_of(8) == 7 * 50);
    answer(gathering, 15, 150);
    CHECK(gathering.bytes_of(16) == 14 * 100);
}

TEST_CASE("of few answers under way each is taken as it comes") {
    Gathering gathering;
    static_cast<void>(gathering.bytes_of(16));
    answer(gathering, 1, 50);
    CHECK(gathering.bytes_of(3) == 1);
    CHECK_FALSE(gathering.counting());
    answer(gathering, 100, 0);
    CHECK(gathering.bytes_of(4) == 3 * 50);
    CHECK(gathering.counting());
}

TEST_CASE("of answers that do not come in time fewer are waited for, and those may be of another size") {
    Gathering gathering;
    static_cast<void>(gathering.bytes_of(64));
    answer(gathering, 1, 50);
    CHECK(gathering.bytes_of(64) == 56 * 50);
    gathering.in_vain();
    CHECK(gathering.bytes_of(64) == 1);
    answer(gathering, 1, 5);
    CHECK(gathering.bytes_of(64) == 32 * 5);
    for (int i = 0; i < 10; ++i) gathering.in_vain();
    CHECK(gathering.bytes_of(64) == 1);
    answer(gathering, 1, 5);
    CHECK(gathering.bytes_of(64) == 2 * 5);
    CHECK(gathering.bytes_of(64) == 4 * 5);
}

TEST_CASE("no more is waited for than is read at once") {
    Gathering gathering;
    static_cast<void>(gathering.bytes_of(64));
    answer(gathering, 1, 1'000'000);
    CHECK(gathering.bytes_of(64) == 16 * 1024);
}

TEST_CASE("how large answers were once is forgotten") {
    Gathering gathering;
    static_cast<void>(gathering.bytes_of(16));
    answer(gathering, 100, 10'000);
    for (int i = 0; i < 20; ++i) answer(gathering, 1000, 50);
    CHECK(gathering.bytes_of(16) < 14 * 60);
}
