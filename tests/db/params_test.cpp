// SPDX-License-Identifier: MIT
#include <coaio/db/params.hpp>

#include "support/catch.hpp"

#include <sys/mman.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace db = coaio::db;

namespace {

enum class Mood { sad, ok };
struct UserId {
    std::int64_t value = 0;
};
struct Temper {
    Mood mood = Mood::sad;
};

}  // namespace

template <>
struct coaio::db::Codec<Mood> : coaio::db::EnumCodec<Mood> {
    static constexpr std::string_view name = "Mood";
    static constexpr std::pair<Mood, std::string_view> labels[] = {{Mood::sad, "sad"}, {Mood::ok, "ok"}};
};

template <>
struct coaio::db::Codec<UserId> : coaio::db::CodecVia<UserId, std::int64_t> {
    static constexpr std::string_view name = "UserId";
    static std::int64_t to(const UserId& id) { return id.value; }
    static UserId from(std::int64_t value) { return UserId{value}; }
};

template <>
struct coaio::db::Codec<Temper> : coaio::db::CodecVia<Temper, Mood> {
    [[maybe_unused]] static constexpr std::string_view name = "Temper";
    static Mood to(const Temper& temper) { return temper.mood; }
    static Temper from(Mood mood) { return Temper{mood}; }
};

TEST_CASE("a parameter has the type that holds its C++ type") {
    auto params = db::Params::of(std::int8_t{1}, std::int16_t{1}, 1, 1L, 1LL, std::uint8_t{1}, std::uint16_t{1}, 1U,
                                 1UL, true, 1.0F, 1.0);
    std::vector<db::Oid> wanted = {db::Oid::int2, db::Oid::int2,    db::Oid::int4,   db::Oid::int8,
                                   db::Oid::int8, db::Oid::int2,    db::Oid::int4,   db::Oid::int8,
                                   db::Oid::int8, db::Oid::boolean, db::Oid::float4, db::Oid::float8};
    CHECK(params.types() == wanted);
    CHECK(params.bytes(0) == std::string_view("\0\1", 2));
    CHECK(params.bytes(2) == std::string_view("\0\0\0\1", 4));
    CHECK(params.bytes(3) == std::string_view("\0\0\0\0\0\0\0\1", 8));
}

TEST_CASE("text in any C++ form is sent as text whose type the server infers") {
    std::string string = "abc";
    const char* pointer = "abc";
    char array[10] = "abc";
    auto params = db::Params::of(string, pointer, "abc", array, std::string_view("abcd").substr(0, 3), Mood::ok);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(params.bytes(i) == "abc");
        CHECK(params.slot(i).type == db::Oid::unspecified);
        CHECK(params.slot(i).format == db::Format::text);
        CHECK(params.bytes(i).data()[3] == '\0');
    }
    CHECK(params.bytes(5) == "ok");
}

TEST_CASE("an empty optional is NULL of its type") {
    auto params = db::Params::of(std::optional<int>(), std::optional<int>(7), std::nullopt, nullptr,
                                 std::optional<std::string>());
    CHECK(params.slot(0).null);
    CHECK(params.slot(0).type == db::Oid::int4);
    CHECK_FALSE(params.slot(1).null);
    CHECK(params.slot(2).null);
    CHECK(params.slot(3).null);
    CHECK(params.slot(4).null);
}

TEST_CASE("parameters that were moved away are none, whether they were few or many") {
    for (const std::size_t count : {std::size_t{3}, std::size_t{40}}) {
        CAPTURE(count);
        db::Params params;
        for (std::size_t i = 0; i < count; ++i) params.add(std::to_string(i));
        db::Params taken = std::move(params);
        CHECK(params.empty());  // NOLINT(bugprone-use-after-move)
        params.add(7);
        CHECK(params.slot(0).type == db::Oid::int4);
        params = std::move(taken);
        CHECK(taken.empty());  // NOLINT(bugprone-use-after-move)
        REQUIRE(params.size() == count);
        for (std::size_t i = 0; i < count; ++i) CHECK(params.bytes(i) == std::to_string(i));
        CHECK_THROWS_AS(params.slot(count), std::out_of_range);
        db::Params& same = params;
        params = std::move(same);
        CHECK(params.empty());
    }
}

TEST_CASE("what cannot be sent is refused, named by its number, and leaves nothing behind") {
    db::Params params = db::Params::of(1, 2);
    auto problem = [&params](const auto& value) {
        try {
            params.add(value);
        } catch (const db::ParameterError& error) {
            CHECK(error.index() == 3);
            CHECK(params.size() == 2);
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    CHECK_THAT(problem(std::string("a\0b", 3)), tests::contains("$3") && tests::contains("NUL"));
    CHECK_THAT(problem(std::uint64_t{1} << 63U), tests::contains("out of the range of int8"));
    CHECK_THAT(problem(std::uint64_t{1} << 63U), !tests::contains("9223"));  // an error holds no value
    CHECK_THAT(problem(static_cast<Mood>(7)), tests::contains("label"));
    CHECK_THAT(problem(static_cast<const char*>(nullptr)), tests::contains("null pointer"));
    CHECK_THAT(problem(std::vector<std::vector<int>>{{1, 2}, {3}}), tests::contains("length"));
    CHECK_THAT(problem(std::vector<std::string>{"a", std::string("\0", 1)}), tests::contains("NUL"));
    params.add("after");
    CHECK(params.bytes(2) == "after");
}

TEST_CASE("TYP-19: 65535 parameters are taken and one more is not") {
    db::Params params;
    for (std::size_t i = 0; i < 65535; ++i) params.add(true);
    CHECK(params.size() == 65535);
    CHECK_THROWS_AS(params.add(true), db::ParameterError);
    CHECK_THROWS_AS(params.add(std::nullopt), db::ParameterError);
    CHECK(params.size() == 65535);
}

TEST_CASE("more than a gigabyte is refused before it is copied") {
    std::size_t size = 1'000'000'001;
    void* nothing = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(nothing != MAP_FAILED);
    std::span<const std::byte> large(static_cast<const std::byte*>(nothing), size);
    auto params = db::Params::of(1, "abc");
    CHECK_THROWS_AS(params.add(large), db::ParameterError);
    CHECK_THROWS_AS(params.add(large.first(size - 2)), db::ParameterError);
    CHECK(params.size() == 2);
    munmap(nothing, size);
}

TEST_CASE("the parameters own what they hold") {
    db::Params params;
    {
        std::string gone = "a text too long for the small string's own room";
        std::vector<int> numbers = {1, 2, 3};
        params = db::Params::of(gone, std::string_view(gone), numbers);
    }
    db::Params copy = params;
    params = db::Params();
    CHECK(copy.bytes(1) == "a text too long for the small string's own room");
    CHECK(copy.slot(2).type == db::Oid::int4_array);
}

TEST_CASE("a type of the user's own travels as another") {
    const std::vector<Temper> tempers{Temper{Mood::ok}};
    auto params = db::Params::of(UserId{7}, std::vector<UserId>{UserId{1}}, tempers);
    CHECK(params.slot(0).type == db::Oid::int8);
    CHECK(params.slot(1).type == db::Oid::int8_array);
    CHECK(params.slot(2).type == db::Oid::unspecified);  // an array of an enum, as it is of Mood
}
