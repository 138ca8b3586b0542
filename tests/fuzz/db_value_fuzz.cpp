// SPDX-License-Identifier: MIT
#include <coaio/db/composite.hpp>
#include <coaio/db/detail/user_types.hpp>
#include <coaio/db/range.hpp>
#include <coaio/db/time.hpp>
#include <coaio/db/values.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace db = coaio::db;

namespace {

struct Place {
    int id = 0;
    std::optional<std::string> name;
    db::Range<int> size;
    friend bool operator==(const Place&, const Place&) = default;
};

constexpr auto place = static_cast<db::Oid>(20001);
constexpr auto places = static_cast<db::Oid>(20002);

db::detail::UserTypes user_types() {
    using Kind = db::detail::UserKind;
    db::detail::UserTypes types;
    types.add(place, {"place",
                      Kind::composite,
                      db::Oid::unspecified,
                      {{"id", db::Oid::int4}, {"name", db::Oid::text}, {"size", db::Oid::int4range}}});
    types.add(places, {"place[]", Kind::array, place});
    return types;
}

/// What is accepted, is the same once it was written and read again.
template <class T>
void read(db::Oid type, db::Format format, std::string_view bytes) {
    static const db::detail::UserTypes types = user_types();
    using C = db::Codec<T>;
    std::string written;
    try {
        const T value = db::detail::decode<C>(db::Encoded{type, format, bytes, &types});
        db::Encoder out(written);
        C::encode(value, out);
        if (!(db::detail::decode<C>(db::Encoded{type, C::format, written, &types}) == value)) std::abort();
    } catch (const coaio::ValueError&) {}
}

}  // namespace

template <>
struct coaio::db::Codec<Place> : coaio::db::CompositeCodec<Place> {
    [[maybe_unused]] static constexpr std::string_view name = "Place";
};

// The first byte chooses the type, the second the format.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const db::Format format = (data[1] & 1) != 0 ? db::Format::binary : db::Format::text;
    using db::Oid;
    switch (data[0] % 9) {
    case 0: read<db::Range<int>>(Oid::int4range, format, bytes); break;
    case 1: read<db::Multirange<int>>(Oid::int4multirange, format, bytes); break;
    case 2: read<db::Range<db::Numeric>>(Oid::numrange, format, bytes); break;
    case 3: read<Place>(place, format, bytes); break;
    case 4: read<std::vector<std::optional<Place>>>(places, format, bytes); break;
    case 5: read<std::vector<std::vector<std::optional<int>>>>(Oid::int4_array, format, bytes); break;
    case 6: read<db::Timestamp>(Oid::timestamptz, format, bytes); break;
    case 7: read<db::Numeric>(Oid::numeric, format, bytes); break;
    default: read<std::vector<std::byte>>(Oid::bytea, format, bytes); break;
    }
    return 0;
}
