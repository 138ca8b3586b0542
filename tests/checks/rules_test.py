#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each rule finds what it is for, and nothing in what is allowed."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import conformance  # noqa: E402
import rules  # noqa: E402

SPDX = "// SPDX-License-Identifier: MIT\n"


def found(rule, files):
    """What a rule says of these files, as "name:line [tag]" or so."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(rule(rules.Tree(folder, list(files))))


class Rules(unittest.TestCase):
    def hazard(self, tag, line):
        got = found(rules.hazards, {"core/src/x.cpp": f"{SPDX}Coro<> f() {{\n    {line}\n}}\n"})
        self.assertTrue(got and all(f"core/src/x.cpp:3: " in one and one.endswith(f"[{tag}]") for one in got), (line, got))

    def fine(self, line):
        got = found(rules.hazards, {"core/src/x.cpp": f"{SPDX}Coro<> f() {{\n    {line}\n}}\n"})
        self.assertEqual(got, [], line)

    def test_an_await_in_a_condition(self):
        self.hazard("B1", "if (co_await ok()) co_return 5;")
        self.hazard("B1", "while (co_await ok() == 1) {}")
        self.hazard("B1", "if (a(\n  1) && co_await ok()) {}")
        self.hazard("B1", "switch (co_await ok()) { default: break; }")
        self.hazard("B1", "do {} while (co_await ok());")
        self.hazard("B1", "for (; co_await ok();) {}")
        self.fine("if (auto x = co_await ok()) co_return 5;")
        self.fine("while (auto x = co_await next()) {}")
        self.fine("for (auto x = co_await f(); x; x = co_await f()) {}")
        self.fine("if (ok) co_await f();")
        self.fine("// if (co_await ok())")
        self.fine('say("if (co_await ok())");')
        self.fine("if (run([]() -> Coro<> { co_await f(); })) {}")
        self.fine("// lint-ok: B1 a local hides it\n    if (co_await ok()) {}")

    def test_an_await_in_an_assertion(self):
        self.hazard("B7", "REQUIRE(co_await f() == 1);")
        self.hazard("B7", "CHECK_FALSE(co_await f());")
        self.fine("CHECK(run([]() -> Coro<int> { co_return co_await f(); }()) == 1);")
        self.fine("CHECK(1 == 1); co_await f();")

    def test_an_await_in_a_throw(self):
        self.hazard("B5", "throw Error(co_await text());")
        self.fine("auto t = co_await text(); throw Error(t);")

    def test_an_await_beside_a_choice(self):
        self.hazard("B3", "auto r = b ? co_await f() : co_await g();")
        self.hazard("B3", "co_await (b ? f() : g());")
        self.fine("switch (b) { case 1: co_await f(); break; default: co_await g(); }")
        self.fine("for (auto& x : co_await list()) {}")

    def test_an_await_beside_a_braced_list(self):
        self.hazard("B4", 'co_await f({"a", "b"});')
        self.hazard("B4", "co_await f(1, {1, 2});")
        self.hazard("B4", 'co_await f(vector<string>{"a"});')
        self.fine("co_await f({});")
        self.fine("co_await f({.timeout = 5s});")
        self.fine("co_await group([&](Scope& s) -> Coro<> { co_await f(); });")
        self.fine("auto x = co_await f(); if (x) { g(); }")

    def test_the_first_line(self):
        self.assertEqual(len(found(rules.spdx, {"core/src/x.cpp": "int x;\n"})), 1)
        self.assertEqual(len(found(rules.spdx, {"core/src/x.hpp": SPDX + "\n#include <a>\n"})), 1)
        self.assertEqual(len(found(rules.spdx, {"dev": "#!/bin/bash\necho\n"})), 1)
        self.assertEqual(found(rules.spdx, {"core/src/x.hpp": SPDX + "#pragma once\n"}), [])

    def test_long_files(self):
        self.assertEqual(len(found(rules.length, {"core/src/x.cpp": "\n" * 601})), 1)
        self.assertEqual(len(found(rules.length, {"README.md": "\n" * 121})), 1)
        self.assertEqual(found(rules.length, {"core/src/x.cpp": "\n" * 600, "README.md": "\n" * 120}), [])

    def test_umbrellas(self):
        files = {"core/include/coaio/core.hpp": "#include <coaio/core/a.hpp>\n", "core/include/coaio/core/a.hpp": "",
                 "core/include/coaio/core/detail/b.hpp": ""}
        self.assertEqual(found(rules.umbrellas, files), [])
        self.assertEqual(len(found(rules.umbrellas, files | {"core/include/coaio/core/c.hpp": ""})), 1)
        self.assertEqual(len(found(rules.umbrellas, files | {"core/include/coaio/core.hpp": "#include <vector>\n"})), 2)
        self.assertEqual(len(found(rules.umbrellas, {"net/include/coaio/net/c.hpp": ""})), 1)

    def test_files_that_no_list_names(self):
        files = {"core/CMakeLists.txt": "SOURCES a.cpp\nHEADERS detail/h.hpp", "core/src/a.cpp": "",
                 "core/include/coaio/core/detail/h.hpp": ""}
        self.assertEqual(found(rules.listed, files), [])
        self.assertEqual(len(found(rules.listed, files | {"core/src/aa.cpp": ""})), 1)
        self.assertEqual(len(found(rules.listed, files | {"core/include/coaio/core/h.hpp": ""})), 0)
        self.assertEqual(len(found(rules.listed, files | {"core/include/coaio/core/i.hpp": ""})), 1)
        self.assertEqual(len(found(rules.listed, {"tests/core/CMakeLists.txt": "", "tests/core/x_test.cpp": ""})), 1)

    def test_includes(self):
        def one(name, line, rule):
            got = found(rules.includes, {name: f"{SPDX}{line}\n"})
            self.assertTrue(len(got) == 1 and got[0].endswith(f"[{rule}]"), (line, got))

        one("core/src/x.cpp", '#include "coaio/core/a.hpp"', "include")
        one("core/src/x.cpp", '#include "absent.hpp"', "include")
        one("core/src/x.cpp", "#include <coaio/core.hpp>", "include")
        one("tests/core/x.cpp", "#include <coaio/core.hpp>", "include")
        one("core/include/coaio/core/x.hpp", '#include "y.hpp"', "include")
        one("db/src/x.cpp", "#include <coaio/net/stream.hpp>", "layer")
        one("core/src/x.cpp", "#include <coaio/http/client.hpp>", "layer")
        one("net/include/coaio/net/x.hpp", "#include <openssl/ssl.h>", "foreign")
        one("db/include/coaio/db/x.hpp", "#include <libpq-fe.h>", "foreign")
        one("http/include/coaio/http/x.hpp", "#include <nlohmann/json.hpp>", "foreign")
        self.assertEqual(found(rules.includes, {
            "net/include/coaio/net/x.hpp": "#include <coaio/core/a.hpp>\n#include <vector>\n#include <sys/socket.h>\n",
            "net/src/x.cpp": '#include <coaio/net/x.hpp>\n\n#include "y.hpp"\n#include <openssl/ssl.h>\n',
            "net/src/y.hpp": "", "apps/tour/main.cpp": "#include <coaio/core.hpp>\n"}), [])
        self.assertEqual(len(found(rules.includes, {
            "net/include/coaio/net/x.hpp": "", "net/src/x.cpp": "#include <vector>\n#include <coaio/net/x.hpp>\n"})), 1)

    def test_macros_in_public_headers(self):
        name = "core/include/coaio/core/x.hpp"
        self.assertEqual(len(found(rules.public_conditions, {name: "#ifndef NDEBUG\n#endif\n"})), 1)
        self.assertEqual(len(found(rules.public_conditions, {name: "#if COAIO_FRAME_POOL\n#endif\n"})), 1)
        self.assertEqual(found(rules.public_conditions, {name: "#if __has_include(<x>)\n#endif\n"}), [])

    def test_sleep_and_clocks(self):
        self.assertEqual(len(found(rules.sleeping_tests, {"tests/core/x.cpp": "std::this_thread::sleep_for(1s);"})), 1)
        self.assertEqual(found(rules.sleeping_tests, {"tests/core/x.cpp": "co_await coaio::sleep(1s);"}), [])
        self.assertEqual(len(found(rules.clocks, {"net/src/x.cpp": "auto t = std::chrono::steady_clock::now();"})), 1)
        self.assertEqual(len(found(rules.clocks, {"apps/a.cpp": "std::random_device d;"})), 1)
        self.assertEqual(found(rules.clocks, {"core/src/x.cpp": "auto t = loop.time();"}), [])
        self.assertEqual(len(found(rules.unfinished, {"core/src/x.cpp": "// TO" + "DO: more\n"})), 1)

    def test_listings(self):
        source = "int a;\n    // [one]\n    int b;\n\n        int c;\n    // [/one]\n"
        files = {"tests/CMakeLists.txt": "x.cpp", "tests/x.cpp": source}

        def of(document):
            return found(rules.listings, files | {"docs/a.md": document})

        good = "<!-- listing: tests/x.cpp#one -->\n```cpp\nint b;\n\n    int c;\n```\n"
        self.assertEqual(of(good), [])
        self.assertEqual(len(of(good.replace("int b", "int z"))), 1)
        self.assertEqual(len(of(good.replace("#one", "#two"))), 1)
        self.assertEqual(len(of(good.replace("x.cpp", "absent.cpp"))), 1)
        self.assertEqual(len(of("text\n```cpp\nint b;\n```\n")), 1)
        self.assertEqual(of("```sh\n./dev run\n```\n"), [])

    def test_links(self):
        self.assertEqual(len(found(rules.links, {"docs/a.md": "[b](b.md) [c](https://x.org/)"})), 1)
        self.assertEqual(found(rules.links, {"docs/a.md": "[b](../b.md#x)", "b.md": ""}), [])

    def test_conformance(self):
        files = {"docs/conformance.ids": "# words\n## Part\nAAA-1 one | two\nAAA-2 three\n",
                 "tests/core/x_test.cpp": 'TEST_CASE("AAA-1, AAA-2: both \\"q\\"") {}\nTEST_CASE("BBB-1: another family") {}\n'
                                          'TEST_CASE(\n    "AAA-1: in "\n    "two parts") {}\nTEST_CASE("UTF-8 is no id") {}\n'}
        with_table = files | {"docs/conformance.md": ""}
        self.assertEqual(len(found(rules.conformance, with_table)), 1)

        def table(**changes):
            with tempfile.TemporaryDirectory() as folder:
                for name, text in (files | changes).items():
                    path = pathlib.Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                return conformance.read(rules.Tree(folder, list(files | changes)))[1]

        made = table()
        self.assertIn("2 of 2 behaviours", made)
        self.assertIn('| AAA-1 | one \\| two | [x_test](../tests/core/x_test.cpp): both "q"<br>[x_test]'
                      "(../tests/core/x_test.cpp): in two parts |", made)
        self.assertEqual(found(rules.conformance, files | {"docs/conformance.md": made}), [])
        # An id that nobody knows, one without a test, one that is owned up to, one that is not missing any more.
        self.assertEqual(len(found(rules.conformance, files | {
            "docs/conformance.md": made, "tests/core/y_test.cpp": 'TEST_CASE("AAA-3: x") {}'})), 1)
        ids = files["docs/conformance.ids"]
        self.assertEqual(len(found(rules.conformance, files | {"docs/conformance.ids": ids + "AAA-4 four\n"})), 2)
        owned = {"docs/conformance.ids": ids + "AAA-4 four\nmissing: AAA-4\n"}
        self.assertIn("| AAA-4 | four | **missing** |", table(**owned))
        self.assertEqual(found(rules.conformance, files | owned | {"docs/conformance.md": table(**owned)}), [])
        self.assertTrue(any("take it out" in one for one in found(rules.conformance, files | {
            "docs/conformance.ids": ids + "missing: AAA-1\n"})))
        self.assertTrue(any("twice" in one for one in found(rules.conformance, files | {
            "docs/conformance.ids": ids + "AAA-1 again\n"})))
        partly = {"docs/conformance.ids": ids + "partly: AAA-1 when it rains\n"}
        self.assertIn("in two parts<br>**not shown**: when it rains |", table(**partly))
        self.assertIn("1 of 2 behaviours have a test, 1 more", table(**partly))
        self.assertEqual(len(found(rules.conformance, {"docs/conformance-db.ids": "## P\nAAA-1 one\n"} | {
            "docs/conformance-db.md": "", "tests/db/x_test.cpp": 'TEST_CASE("AAA-1: here") {}'})), 1)
        refused = {"docs/conformance.ids": "## P\nAAA-1 one\n", "tests/compile/x.cpp": "// test: AAA-1: cannot\n"}
        self.assertEqual(len(found(rules.conformance, refused)), 1)


unittest.main()
