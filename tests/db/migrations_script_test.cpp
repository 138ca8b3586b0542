// SPDX-License-Identifier: MIT
#include "migrations_script.hpp"

#include <coaio/db/error.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using coaio::db::detail::split_script;

namespace {

std::vector<std::string> statements(std::string_view script) {
    std::vector<std::string> found;
    for (const auto& each : split_script(script)) found.emplace_back(each.sql);
    return found;
}

}  // namespace

TEST_CASE("a script is split at its semicolons, and knows the lines and first words") {
    const auto found = split_script("-- head\n\nselect 1;\n;; /* a */ Create table t (a int)\n;\nselect 2 -- end;");
    REQUIRE(found.size() == 3);
    CHECK(found[0].sql == "select 1");
    CHECK(found[0].line == 3);
    CHECK(found[0].words[0] == "select");
    CHECK(found[1].sql == "Create table t (a int)\n");
    CHECK(found[1].words[0] == "Create");
    CHECK(found[1].words[2] == "t");
    CHECK(found[1].line == 4);
    CHECK(found[2].line == 6);
    CHECK(found[2].words[1].empty());
    CHECK(split_script("\"a\" b")[0].words[0].empty());
    CHECK(split_script(" -- nothing\n/* ; */ ;").empty());
}

TEST_CASE("semicolons inside of strings, names, comments and parentheses split nothing") {
    for (const std::string one : {
             "select 'a;''b;'",
             R"(select E'a\';b')",
             R"(select 'a\' || ';')",
             "select E'a'\n'it\\'s; b'",
             "select E'a' -- more;\n  -- and more;\n 'it\\'s; b'",
             R"(select ";""x;")",
             "select $$a;b$$, $x$ ;$$; $x$, $1",
             "select /* ; /* ; */ ; */ 1",
             "select 1 -- ;\n + 1",
             "create rule r as on insert to t do (select 1; select 2)",
             "select name$a, 1e5, a$b$c from t$",
         }) {
        INFO(one);
        CHECK(statements(one + "; select 2") == std::vector<std::string>{one, "select 2"});
    }
}

TEST_CASE("the body of an SQL function is one statement with its function") {
    for (const std::string one : {
             "create function f() returns int language sql begin atomic select 1; select case when true then 2 end; "
             "end",
             "CREATE OR REPLACE PROCEDURE p(a int) language sql BEGIN ATOMIC insert into t values (a); END",
         }) {
        INFO(one);
        CHECK(statements(one + "; select 2") == std::vector<std::string>{one, "select 2"});
    }
    CHECK(statements("begin; select 1; end").size() == 3);
    CHECK(statements("create table atomic (a int); select 1").size() == 2);
}

TEST_CASE("a script that ends in the middle of something is refused with the line") {
    for (const std::string bad : {"select 1;\nselect 'a", "select 1;\nselect \"a", "\n/* /* */", "\nselect $x$ $$",
                                  "\nselect (1", "\ncreate function f() returns int begin atomic select 1;"}) {
        INFO(bad);
        CHECK_THROWS_WITH(split_script(bad), tests::contains("line 2"));
        CHECK_THROWS_AS(split_script(bad), coaio::db::UsageError);
    }
}
