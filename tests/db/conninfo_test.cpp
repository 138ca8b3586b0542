// SPDX-License-Identifier: MIT
#include "conninfo.hpp"

#include <coaio/db/error.hpp>
#include <coaio/db/pool.hpp>

#include "support/catch.hpp"

namespace db = coaio::db;

namespace {

std::string problem_of(const std::string& text) {
    try {
        (void)db::Conninfo::parse(text);
    } catch (const db::UsageError& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("CON-10: a URI and key=value pairs say the same") {
    auto uri = db::Conninfo::parse("postgresql://us%65r:p%40ss@[::1]:5433/data%20base?application_name=x");
    CHECK(uri.get("user") == "user");
    CHECK(uri.get("password") == "p@ss");
    CHECK(uri.get("dbname") == "data base");
    REQUIRE(uri.hosts().size() == 1);
    CHECK(uri.hosts()[0].name == "::1");
    CHECK(uri.hosts()[0].port == "5433");
    CHECK_FALSE(uri.hosts()[0].is_socket());

    auto pairs = db::Conninfo::parse("user=user password='p@ss' host=::1 port=5433 dbname='data base'");
    CHECK(pairs.get("password") == uri.get("password"));
    CHECK(pairs.hosts()[0].name == uri.hosts()[0].name);
    CHECK(db::Conninfo::parse("user=a user=b").get("user") == "b");
}

TEST_CASE("CON-10: a list of hosts has one port or as many ports") {
    auto one = db::Conninfo::parse("host=a,b port=1").hosts();
    REQUIRE(one.size() == 2);
    CHECK(one[1].name == "b");
    CHECK(one[1].port == "1");
    auto many = db::Conninfo::parse("postgresql://a:1,b:2/x").hosts();
    REQUIRE(many.size() == 2);
    CHECK(many[1].port == "2");
    auto mixed = db::Conninfo::parse("host=a,b hostaddr=1.1.1.1,::2 port=,7").hosts();
    CHECK(mixed[0].address == "1.1.1.1");
    CHECK(mixed[0].port == "5432");
    CHECK(mixed[1].port == "7");

    CHECK_THAT(problem_of("host=a,b port=1,2,3"), tests::contains("3 ports and 2 hosts"));
    CHECK_THAT(problem_of("host=a,b hostaddr=1.1.1.1"), tests::contains("2 host names and 1 address"));
    CHECK_THAT(problem_of("host=a port=70000"), tests::contains("port"));
    CHECK_THAT(problem_of("host=a port=x"), tests::contains("port"));
}

TEST_CASE("a socket folder is no host name") {
    CHECK(db::Conninfo::parse("host=/run/x").hosts()[0].is_socket());
    CHECK(db::Conninfo::parse("host=@abstract").hosts()[0].is_socket());
    CHECK_FALSE(db::Conninfo::parse("hostaddr=127.0.0.1").hosts()[0].is_socket());
}

TEST_CASE("CON-11: no word of a password is in any message") {
    for (const std::string text : {
             "postgresql://me:hunter2@host:5432:7/x",
             "postgresql://me:hunter2%zz@host/x",
             "postgresql://me:pw@host/x?hunter2",
             "postgresql://host/x?password=pw&hunter2",
             "postgresql://host/x?password=pw&hunter2=1",
             "user=me password=hun hunter2",
             "user=me password=pw hunter2=x",
             "user=me password='hunter2",
             "user=me password=a\"hunter2\" b\"hunter2",
             "postgresql://me:pw@hunter2@host/x",
             "postgresql://me:12/hunter2@host/x",
             "postgres://me:/hunter2@host/x",
         }) {
        INFO(text);
        std::string problem = problem_of(text);
        CHECK(problem.find("hunter2") == std::string::npos);
        CHECK_THAT(problem, tests::contains("connection string"));
    }
    CHECK_THAT(problem_of("postgresql://me:a@b@host/x"), tests::contains("%40"));
    CHECK(problem_of("host=z password=x z=y").find("\"z\"") == std::string::npos);
    auto good = db::Conninfo::parse("postgresql://me:hunter2@host:5433/x?sslpassword=hunter2@host");
    CHECK(good.to_string() == "me@host:5433/x");
    good = db::Conninfo::parse("postgresql://me:hunter2%40%2F?@[::1]/x");
    CHECK(good.to_string() == "me@::1:5432/x");
    CHECK(db::Conninfo::parse("user=me password=a://b@c@d").to_string() == "me@:5432");
}

TEST_CASE("an option libpq does not know is named where nothing secret can be taken for it") {
    CHECK_THAT(problem_of("user=me colour=red"), tests::contains("\"colour\""));
    CHECK_THAT(problem_of("postgresql://host/x?colour=red"), tests::contains("\"colour\""));
    auto info = db::Conninfo::parse("user=me");
    CHECK_THROWS_AS(info.set("colour", "red"), db::UsageError);
}

TEST_CASE("CON-12: a NUL byte is refused wherever it comes in") {
    CHECK_THAT(problem_of(std::string("user=a\0b", 8)), tests::contains("NUL"));
    CHECK(problem_of("postgresql://a%00b@host/x") != "accepted");
    auto info = db::Conninfo::parse("user=me");
    CHECK_THROWS_AS(info.set("user", std::string("a\0options", 9)), db::UsageError);
    CHECK_THROWS_AS(db::Pool("user=me", db::PoolOptions().setting("role", std::string("a\0b", 3))), db::UsageError);
}

TEST_CASE("CON-16: client_encoding is no setting") {
    for (const char* name : {"client_encoding", "Client_Encoding"}) {
        CHECK_THROWS_AS(db::Pool("user=me", db::PoolOptions().setting(name, "LATIN1")), db::UsageError);
    }
}

TEST_CASE("a connect_timeout that is no number of seconds is refused") {
    for (const std::string text : {"10s", "abc", "1.5", " 5"}) {
        INFO(text);
        CHECK_THROWS_AS(db::Pool("user=me connect_timeout='" + text + "'"), db::UsageError);
    }
    CHECK_NOTHROW(db::Pool("user=me connect_timeout=0"));
    CHECK_NOTHROW(db::Pool("user=me connect_timeout=60"));
}

TEST_CASE("a default gives way to what was given") {
    auto info = db::Conninfo::parse("user=me application_name=mine");
    info.set_default("application_name", "ours");
    info.set_default("keepalives_idle", "10");
    CHECK(info.given().at("application_name") == "mine");
    CHECK(info.given().at("keepalives_idle") == "10");
}
