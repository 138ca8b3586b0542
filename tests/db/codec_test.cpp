// SPDX-License-Identifier: MIT
#include <coaio/db/composite.hpp>
#include <coaio/db/detail/user_types.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/range.hpp>

#include "support/catch.hpp"

#include <random>

namespace db = coaio::db;

namespace {

template <class T>
void refuses(db::Oid type, std::string_view bytes, db::Format format = db::Format::binary) {
    INFO(db::type_name(type) << " of " << bytes.size() << " bytes");
    CHECK_THROWS_AS(db::Codec<T>::decode(db::Encoded{type, format, bytes}), coaio::ValueError);
}

std::string int32s(std::initializer_list<std::int64_t> numbers) {
    std::string bytes;
    db::Encoder out(bytes);
    for (auto number : numbers) out.put_int32(static_cast<std::int32_t>(static_cast<std::uint32_t>(number)));
    return bytes;
}

struct Place {
    int id = 0;
    std::optional<std::string> name;
    db::Range<int> size;
    friend bool operator==(const Place&, const Place&) = default;
};

constexpr auto place = static_cast<db::Oid>(20001);
constexpr auto places = static_cast<db::Oid>(20002);
constexpr auto positive = static_cast<db::Oid>(20003);

using Kind = db::detail::UserKind;

db::detail::UserTypes user_types() {
    db::detail::UserTypes types;
    types.add(positive, {"positive", Kind::domain, db::Oid::int4});
    types.add(place, {"place",
                      Kind::composite,
                      db::Oid::unspecified,
                      {{"id", positive}, {"name", db::Oid::text}, {"size", db::Oid::int4range}}});
    types.add(places, {"place[]", Kind::array, place});
    return types;
}
const db::detail::UserTypes known = user_types();

template <class T>
void feed(db::Oid type, const std::string& bytes) {
    for (auto format : {db::Format::binary, db::Format::text}) {
        try {
            (void)db::detail::decode<db::Codec<T>>(db::Encoded{type, format, bytes, &known});
        } catch (const coaio::ValueError&) {}
    }
}

}  // namespace

template <>
struct coaio::db::Codec<Place> : coaio::db::CompositeCodec<Place> {
    static constexpr std::string_view name = "Place";
};

TEST_CASE("TYP-22: a value of the wrong length is refused") {
    refuses<int>(db::Oid::int4, "");
    refuses<int>(db::Oid::int4, "\0\0\0");
    refuses<int>(db::Oid::int4, std::string(5, '\0'));
    refuses<std::int64_t>(db::Oid::int8, std::string(7, '\0'));
    refuses<bool>(db::Oid::boolean, "");
    refuses<bool>(db::Oid::boolean, "\1\1");
    refuses<double>(db::Oid::float8, "1234567");
    refuses<db::Uuid>(db::Oid::uuid, std::string(15, '\0'));
    refuses<db::Uuid>(db::Oid::uuid, std::string(17, '\0'));
    refuses<db::Timestamp>(db::Oid::timestamptz, std::string(4, '\0'));
    refuses<db::Date>(db::Oid::date, std::string(8, '\0'));
    refuses<db::Json>(db::Oid::jsonb, "");
    refuses<db::Numeric>(db::Oid::numeric, std::string(7, '\0'));
}

TEST_CASE("TYP-22: counts that lie ask for no memory") {
    using Ints = std::vector<int>;
    using Deep = std::vector<std::vector<int>>;
    auto type = db::Oid::int4_array;
    refuses<Ints>(type, int32s({1, 0, 23, 0x7fffffff, 1}));
    refuses<Ints>(type, int32s({1, 0, 23, -1, 1}));
    refuses<Ints>(type, int32s({7, 0, 23, 1, 1}));
    refuses<Ints>(type, int32s({-1, 0, 23}));
    refuses<Deep>(type, int32s({2, 0, 23, 0x10000, 1, 0x10000, 1}));
    refuses<Deep>(type, int32s({6, 0, 23, 65536, 1, 65536, 1, 65536, 1, 65536, 1, 65536, 1, 65536, 1}));
    refuses<Deep>(type, int32s({2, 0, 23, 0, 1, 0x7fffffff}));
    refuses<Ints>(type, int32s({1, 0, 23, 1, 1, 0x7fffffff, 1}));
    refuses<Ints>(type, int32s({1, 0, 23, 1, 1, -2, 1}));
    refuses<Ints>(type, int32s({1, 0, 23, 1, 1, 4, 1, 9}));
    refuses<Ints>(type, int32s({1, 0, 25, 1, 1, 4, 1}));
    CHECK(db::Codec<Ints>::decode({type, db::Format::binary, int32s({1, 0, 23, 1, 1, 4, 9})}) == Ints{9});
    CHECK(db::Codec<Deep>::decode({type, db::Format::binary, int32s({2, 0, 23, 0, 1, 0x7fffffff, 1})}).empty());
}

TEST_CASE("TYP-22: a numeric that lies about itself is refused") {
    auto numeric = [](std::initializer_list<int> shorts) {
        std::string bytes;
        db::Encoder out(bytes);
        for (int each : shorts) out.put_int16(static_cast<std::int16_t>(each));
        return bytes;
    };
    auto type = db::Oid::numeric;
    refuses<db::Numeric>(type, numeric({2, 0, 0, 0, 1}));
    refuses<db::Numeric>(type, numeric({-1, 0, 0, 0}));
    refuses<db::Numeric>(type, numeric({1, 0, 0, 0, 10000}));
    refuses<db::Numeric>(type, numeric({1, 0, 0, 0, -1}));
    refuses<db::Numeric>(type, numeric({1, 0, 0x1234, 0, 1}));
    refuses<db::Numeric>(type, numeric({1, 0, 0, -1, 1}));
    CHECK(db::Codec<db::Numeric>::decode({type, db::Format::binary, numeric({1, -2, 0, 8, 12})}).to_string() ==
          "0.00000012");
}

TEST_CASE("TYP-22: an array of numerics does not grow without limit when it is read") {
    const auto array_of = [](std::int32_t count) {
        std::string bytes = int32s({1, 0, static_cast<std::int64_t>(db::Oid::numeric), count, 1});
        db::Encoder out(bytes);
        for (std::int32_t i = 0; i < count; ++i) {
            out.put_int32(10);
            for (const int each : {1, 32767, 0, 0, 1}) out.put_int16(static_cast<std::int16_t>(each));
        }
        return bytes;
    };
    using Decimals = std::vector<db::Numeric>;
    const std::string few = array_of(2);
    const Decimals read = db::Codec<Decimals>::decode({db::Oid::numeric_array, db::Format::binary, few});
    CHECK(read.back().to_string() == "1" + std::string(131'068, '0'));
    refuses<Decimals>(db::Oid::numeric_array, array_of(10'000));
}

TEST_CASE("TYP-22: composites, ranges and multiranges that lie are refused") {
    const auto decoded = [](std::string_view bytes, db::Format format) {
        return db::Codec<Place>::decode(db::Encoded{place, format, bytes, &known});
    };
    const std::string head = int32s({3, 20003, 4, 7, 25, -1});
    const std::string range = std::string("\2", 1) + int32s({4, 1, 4, 5});
    const std::string whole = head + int32s({3904, 17}) + range;
    const Place made{7, std::nullopt, db::Range<int>(1, 5)};
    INFO(db::Codec<Place>::name);
    CHECK(decoded(whole, db::Format::binary) == made);
    CHECK(decoded("(7,,\"[1,5)\")", db::Format::text) == made);
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        CHECK_THROWS_AS(decoded(std::string_view(whole).substr(0, cut), db::Format::binary), coaio::ValueError);
    }
    for (const std::string& bad :
         {whole + '\0', int32s({2, 20003, 4, 7, 25, -1}), int32s({-1}), int32s({0x7fffffff, 20003, 4, 7}),
          int32s({3, 25, 4, 7, 25, -1, 3904, -1}), int32s({3, 20003, 0x7fffffff, 7}), int32s({3, 20003, -2}),
          int32s({3, 20003, -1, 25, -1, 3904, -1})}) {
        CHECK_THROWS_AS(decoded(bad, db::Format::binary), coaio::ValueError);
    }
    for (const char* bad : {"", "(", "()", "(7)", "(7,)", "(7,,)", "7,,\"[1,5)\"", "(7,,\"[1,5)\"", "(7,,\"[1,5)\")x",
                            "(7,,\"[1,5)\",)", "(7,\"x,[1,5))", "(7,\\"}) {
        INFO(bad);
        CHECK_THROWS_AS(decoded(bad, db::Format::text), coaio::ValueError);
    }
    using Ints = db::Range<int>;
    auto type = db::Oid::int4range;
    refuses<Ints>(type, "");
    refuses<Ints>(type, "\x40");
    refuses<Ints>(type, std::string("\1\0", 2));
    refuses<Ints>(type, std::string("\0", 1) + int32s({4, 1}));
    refuses<Ints>(type, std::string("\0", 1) + int32s({-1, 4, 1}));
    refuses<Ints>(type, std::string("\0", 1) + int32s({0x7fffffff, 1, 4, 1}));
    refuses<Ints>(type, std::string("\x10", 1) + int32s({8, 1, 4}));
    for (const char* bad :
         {"", "[", "[1", "[1,", "[1,2", "1,2)", "[1,2)x", "[1,2,3)", "empt", "[\"1,2)", "[x,2)", "(,)("}) {
        INFO(bad);
        refuses<Ints>(type, bad, db::Format::text);
    }
    using Many = db::Multirange<int>;
    type = db::Oid::int4multirange;
    refuses<Many>(type, int32s({0x7fffffff}));
    refuses<Many>(type, int32s({-1}));
    refuses<Many>(type, int32s({1, 0x7fffffff}) + "\1");
    refuses<Many>(type, int32s({1, -1}) + "\1");
    refuses<Many>(type, int32s({0, 0}));
    CHECK(db::Codec<Many>::decode({type, db::Format::binary, int32s({1, 1}) + "\1"}).ranges().size() == 1);
    for (const char* bad : {"", "{", "{[1,2)", "[1,2)", "{[1,2)[3,4)}", "{,}", "{[1,2),}", "{}x"}) {
        INFO(bad);
        refuses<Many>(type, bad, db::Format::text);
    }
}

TEST_CASE("TYP-22: a catalog that goes round in circles ends") {
    db::detail::UserTypes types;
    types.add(place, {"a", Kind::domain, positive});
    types.add(positive, {"b", Kind::domain, place});
    types.add(places, {"c", Kind::composite, db::Oid::unspecified, {{"x", places}, {"y", places}}});
    CHECK_FALSE(types.in_binary(place));
    CHECK_FALSE(types.in_binary(places));
    CHECK_FALSE(db::detail::accepts<db::Codec<int>>(place, db::Format::binary, &types));
}

TEST_CASE("text forms that are not of their type are refused") {
    auto text = db::Format::text;
    refuses<int>(db::Oid::int4, "", text);
    refuses<int>(db::Oid::int4, "12x", text);
    refuses<int>(db::Oid::int4, "99999999999999999999", text);
    refuses<bool>(db::Oid::boolean, "true", text);
    refuses<double>(db::Oid::float8, "1.5 ", text);
    refuses<std::vector<std::byte>>(db::Oid::bytea, "\\x123", text);
    refuses<std::vector<std::byte>>(db::Oid::bytea, "\\xzz", text);
    refuses<std::vector<std::byte>>(db::Oid::bytea, "\\12", text);
    refuses<std::vector<std::byte>>(db::Oid::bytea, "\\777", text);
    for (const char* bad : {"", "2024", "2024-01", "2024-13-01", "02/29/2024", "2024-01-01", "2024-01-01 10:00",
                            "2024-01-01 10:00:00+", "2024-01-01 10:00:00+00x", "99999999999-01-01 00:00:00"}) {
        INFO(bad);
        refuses<db::Timestamp>(db::Oid::timestamptz, bad, text);
    }
    for (const char* bad : {"", "{", "}", "{1", "{1,}", "{,1}", "{1}}", "{{1},2}", "{1,{2}}", "{{1},{2,3}}", "{\"1}",
                            "{1\"2\"}", "[0:1]{1}", "{{{{{{{1}}}}}}}", "{\\", "{{},{1}}"}) {
        INFO(bad);
        refuses<std::vector<int>>(db::Oid::int4_array, bad, text);
        refuses<std::vector<std::vector<int>>>(db::Oid::int4_array, bad, text);
    }
}

TEST_CASE("TYP-12: the text of an array is split at the delimiter of its type, and nowhere by guess") {
    constexpr auto shapes = static_cast<db::Oid>(20004);
    using Words = std::vector<std::string>;
    db::detail::UserTypes types;
    types.add(shapes, {"shape[]", Kind::array, static_cast<db::Oid>(20005), {}, ':'});
    const auto split = [](db::Oid type, std::string_view bytes, const db::detail::UserTypes* known_types) {
        return db::Codec<Words>::decode(db::Encoded{type, db::Format::text, bytes, known_types});
    };
    CHECK(split(shapes, "{a,b:\"c:d\"}", &types) == Words{"a,b", "c:d"});
    CHECK(split(static_cast<db::Oid>(1020), "{(1,1),(0,0);(3,3),(2,2)}", nullptr) ==
          Words{"(1,1),(0,0)", "(3,3),(2,2)"});
    CHECK(split(shapes, "{a,b}", nullptr) == Words{"a", "b"});
    CHECK(split(db::Oid::text_array, "{a:b,c;d}", nullptr) == Words{"a:b", "c;d"});
    for (const char* unsure : {"{a,b:c}", "{a;b}"}) CHECK_THROWS_AS(split(shapes, unsure, nullptr), coaio::ValueError);
}

TEST_CASE("TYP-22: random bytes are decoded or refused, and nothing else happens") {
    std::mt19937 random(7);
    std::uniform_int_distribution<int> byte(0, 255);
    std::uniform_int_distribution<int> small(0, 3);
    std::uniform_int_distribution<int> length(0, 60);
    const std::string letters = "{}\",\\[]=:-+.0123456789 NULLtfx";
    for (int round = 0; round < 20000; ++round) {
        std::string bytes;
        int kind = small(random);
        for (int i = length(random); i > 0; --i) {
            int any = byte(random);
            if (kind == 0)
                bytes.push_back(static_cast<char>(any));
            else if (kind == 1)
                bytes.push_back(static_cast<char>(any % 4 == 0 ? any % 8 : 0));
            else
                bytes.push_back(letters[static_cast<std::size_t>(any) % letters.size()]);
        }
        feed<int>(db::Oid::int4, bytes);
        feed<double>(db::Oid::float8, bytes);
        feed<db::Numeric>(db::Oid::numeric, bytes);
        feed<db::Timestamp>(db::Oid::timestamptz, bytes);
        feed<std::chrono::year_month_day>(db::Oid::date, bytes);
        feed<std::chrono::system_clock::time_point>(db::Oid::timestamptz, bytes);
        feed<db::Uuid>(db::Oid::uuid, bytes);
        feed<db::Json>(db::Oid::jsonb, bytes);
        feed<std::vector<std::byte>>(db::Oid::bytea, bytes);
        feed<std::vector<std::optional<int>>>(db::Oid::int4_array, bytes);
        feed<std::vector<std::vector<std::string>>>(db::Oid::text_array, bytes);
        feed<db::Range<int>>(db::Oid::int4range, bytes);
        feed<db::Multirange<db::Numeric>>(db::Oid::nummultirange, bytes);
        feed<Place>(place, bytes);
        feed<std::vector<std::optional<Place>>>(places, bytes);
    }
    SUCCEED();
}

TEST_CASE("types have the names that SQL gives them") {
    CHECK(db::type_name(db::Oid::int4) == "int4");
    CHECK(db::type_name(db::Oid::text_array) == "text[]");
    CHECK(db::type_name(static_cast<db::Oid>(16412)) == "type 16412");
    CHECK(db::element_type(db::Oid::uuid_array) == db::Oid::uuid);
    CHECK(db::element_type(db::Oid::int4) == db::Oid::unspecified);
    CHECK(db::known_in_binary(db::Oid::jsonb_array));
    CHECK_FALSE(db::known_in_binary(db::Oid::interval));
    CHECK_FALSE(db::known_in_binary(db::Oid::unspecified));
}
