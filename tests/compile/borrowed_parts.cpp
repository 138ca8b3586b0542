// SPDX-License-Identifier: MIT
// expect: the bounds of a range are read as what owns them
// expect: read arrays of text as std::vector<std::string>
// expect: text in a composite is read as std::string
#include <coaio/db/composite.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/range.hpp>
#include <coaio/db/row.hpp>

namespace db = coaio::db;

#ifdef COAIO_BAD
using Text = std::string_view;
#else
using Text = std::string;
#endif

struct Label {
    Text text;
};
template <>
struct coaio::db::Codec<Label> : coaio::db::CodecVia<Label, Text> {
    static constexpr std::string_view name = "Label";
    static std::string_view to(const Label& label) { return label.text; }
    static Label from(Text text) { return Label{std::move(text)}; }
};

struct Named {
    std::optional<Label> label;
};
template <>
struct coaio::db::Codec<Named> : coaio::db::CompositeCodec<Named> {
    static constexpr std::string_view name = "Named";
};

void read(const db::Rows& rows) {
    static_cast<void>(rows.value<db::Range<Text>>());
    static_cast<void>(rows.value<db::Range<Label>>());
    static_cast<void>(rows.value<db::Multirange<Text>>());
    static_cast<void>(rows.value<std::vector<std::optional<Label>>>());
    static_cast<void>(rows.value<Named>());
    static_cast<void>(rows.value<std::string_view>());
    static_cast<void>(db::Params::of(db::Range<std::string_view>("a", "b"), std::vector<std::string_view>()));
}
