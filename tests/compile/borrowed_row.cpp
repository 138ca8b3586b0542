// SPDX-License-Identifier: MIT
// expect: a std::string_view would outlive the rows
// expect: (query_one<|Ts = \{)Aggregate
// expect: (query_one<|Ts = \{)Named
// expect: (query_value<|T = )Label
// expect: (query_one<|Ts = \{)std::tuple
#include <coaio/db/pool.hpp>

namespace db = coaio::db;

#ifdef COAIO_BAD
using Text = std::string_view;
#else
using Text = std::string;
#endif

struct Aggregate {
    int id = 0;
    std::optional<Text> text;
};

struct Named {
    int id = 0;
    Text text;
};
template <>
struct coaio::db::Describe<Named> {
    static constexpr auto fields =
        std::make_tuple(coaio::db::field("id", &Named::id), coaio::db::field("text", &Named::text));
};

struct Label {
    Text text;
};
template <>
struct coaio::db::Codec<Label> : coaio::db::CodecVia<Label, Text> {
    static constexpr std::string_view name = "Label";
    static Text to(const Label& label) { return label.text; }
    static Label from(Text text) { return Label{std::move(text)}; }
};

coaio::Coro<> read(db::Pool pool) {
    static_cast<void>(co_await pool.query_one<Aggregate>("select 1, 'x'"));
    static_cast<void>(co_await pool.query_one<Named>("select 1, 'x'"));
    static_cast<void>(co_await pool.query_value<Label>("select 'x'"));
    static_cast<void>(co_await pool.query_one<std::tuple<int, Text>>("select 1, 'x'"));
    // Here the rows stay.
    const db::Rows rows = co_await pool.query("select 1, 'x'");
    static_cast<void>(rows.one<Aggregate>().id);
    auto stream = pool.stream<int, std::string_view>("select 1, 'x'");
    static_cast<void>(co_await stream.next());
}
