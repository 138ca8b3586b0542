#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/conformance.md and docs/conformance-db.md: which test proves which behaviour.

conformance.py writes them; conformance.py --check says what is wrong: a table that is stale, an id without a test, a test
that names an unknown id. Ids stand in the .ids file beside each, and at the front of the names of tests:
TEST_CASE("GAT-18, GAT-19: ..."), or `// test: TSK-05: ...` where a test is a file that must not compile.

An .ids file owns up to what is not there: `missing: ID ID` has no test at all, `partly: ID what is not shown` has one
that does not show the whole line.
"""
import pathlib
import re
import sys

DB_TESTS = ("tests/db/", "tests/soak/", "tests/integration/")
ID = r"[A-Z]{2,5}-\d+"
CASE = re.compile(r'\b(?:TEMPLATE_)?TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)|^// test: ([^\n]+)$', re.M)


class Book:
    def __init__(self, name, words, mine):
        self.ids, self.table, self.words, self.mine = f"docs/{name}.ids", f"docs/{name}.md", words, mine


CORE = Book("conformance", "What `coaio::core` promises of asyncio's behaviour, and the test that shows it. "
            "[conformance-db.md](conformance-db.md)\nis that of `coaio::db`.",
            lambda name: not name.startswith(DB_TESTS))
DB = Book("conformance-db", "What `coaio::db` promises, and the test that shows it: on a real server, unless it is marked "
          "*no server*.\n[conformance.md](conformance.md) is that of `coaio::core`.",
          lambda name: name.startswith(DB_TESTS))
SERVER = "[pgtest]"  # the tag of tests that run one


class Section:
    def __init__(self, title):
        self.title = title
        self.lines = []  # (id, what holds)


def read_ids(text):
    """The sections, the ids that are owned up to with their lines and gaps, and what is wrong with the file."""
    sections, missing, partly, trouble, seen = [], {}, {}, [], set()
    for number, line in enumerate(text.split("\n"), 1):
        found = re.fullmatch(rf"({ID}) (\S.*)", line)
        gap = re.fullmatch(rf"partly: ({ID}) (\S.*)", line)
        if line.startswith("## "):
            sections.append(Section(line[3:]))
        elif line.startswith("missing:"):
            missing.update({each: number for each in line[len("missing:"):].replace(",", " ").split()})
        elif gap:
            partly[gap.group(1)] = (number, gap.group(2))
        elif found and sections:
            if found.group(1) in seen:
                trouble.append((number, f"{found.group(1)} stands here twice"))
            seen.add(found.group(1))
            sections[-1].lines.append(found.groups())
        elif line and not line.startswith("#"):
            trouble.append((number, f"is neither a heading, nor an id with its line, nor missing or partly: {line}"))
    owned = list(missing.items()) + [(each, number) for each, (number, _) in partly.items()]
    trouble += [(number, f"{each} is owned up to, but stands in no line") for each, number in owned if each not in seen]
    return sections, missing, partly, trouble


def read_tests(tree, book):
    """For each test that names ids: its file, line, ids, and the rest of its name, with what it is marked by."""
    for name in tree.sources():
        if not name.startswith("tests/") or not book.mine(name) or name.startswith("tests/fuzz/"):
            continue
        text = tree.text(name)
        for match in CASE.finditer(text):
            title = match.group(2) or "".join(re.findall(r'"((?:\\.|[^"\\])*)"', match.group(1)))
            ids = re.match(rf"({ID}(?:(?:, | ){ID})*): ", title)
            if ids:
                line = text.count("\n", 0, match.start()) + 1
                tagged = re.match(r'[,\s]*"([^"]*)"', text[match.end():match.end() + 200])
                real = book is not DB or (tagged is not None and SERVER in tagged.group(1))
                mark = "" if real else " (*no server*)"
                yield name, line, re.findall(ID, ids.group(1)), title[ids.end():].replace('\\"', '"') + mark


def table(book, sections, missing, partly, tests):
    count = sum(len(section.lines) for section in sections)
    stem = pathlib.PurePath(book.ids).name
    whole = f"{count - len(missing) - len(partly)} of {count} behaviours have a test"
    if partly:
        whole += f", {len(partly)} more have one that does not show the whole line"
    lines = ["# Conformance", "", book.words, f"Made by `tests/checks/conformance.py` from [{stem}]({stem}) and the names",
             "of the tests; a check compares them. [design.md](design.md) has the decisions.", "", f"{whole}."]
    for section in sections:
        lines += ["", f"## {section.title}", "", "| id | what holds | test |", "| --- | --- | --- |"]
        for each, holds in section.lines:
            holds = holds.replace("|", "\\|")
            shown = [f"[{pathlib.PurePath(name).stem}](../{name}): {title}" for name, ids, title in tests if each in ids]
            if each in partly:
                shown.append(f"**not shown**: {partly[each][1]}")
            cell = "<br>".join(shown).replace("|", "\\|") or "**missing**"
            lines.append(f"| {each} | {holds} | {cell} |")
    return "\n".join(lines) + "\n"


def read(tree, book=CORE):
    text = tree.text(book.ids)
    sections, missing, partly, trouble = read_ids(text)
    known = {each for section in sections for each, _ in section.lines}
    families = {each.split("-")[0] for each in known}
    findings = [f"{book.ids}:{number}: {words} [conformance]" for number, words in trouble]
    tests, named = [], set()
    for name, line, ids, title in read_tests(tree, book):
        mine = [each for each in ids if each.split("-")[0] in families]
        findings += [f"{name}:{line}: {each} stands in no line of {book.ids} [conformance]"
                     for each in mine if each not in known]
        named.update(mine)
        if mine:
            tests.append((name, mine, title))
    for number, line in enumerate(text.split("\n"), 1):
        each = line.split(" ")[0]
        if each in known and each not in named and each not in missing:
            findings.append(f"{book.ids}:{number}: no test names {each} [conformance]")
    findings += [f"{book.ids}:{number}: {each} has a test: take it out of `missing:` [conformance]"
                 for each, number in missing.items() if each in named]
    return findings, table(book, sections, missing, partly, tests)


def conformance(tree):
    """A rule of rules.py."""
    for book in (CORE, DB):
        if not tree.exists(book.ids):
            continue
        findings, wanted = read(tree, book)
        yield from findings
        if not tree.exists(book.table) or tree.text(book.table) != wanted:
            yield f"{book.table}:1: is stale: run tests/checks/conformance.py [conformance]"


def main():
    import rules
    root = pathlib.Path(__file__).resolve().parents[2]
    # Not asked of git, which need not be there where the tests run.
    names = [str(path.relative_to(root)) for folder in ("docs", "tests") for path in root.glob(f"{folder}/**/*")
             if path.is_file()]
    tree = rules.Tree(root, names)
    if "--check" in sys.argv[1:]:
        findings = list(conformance(tree))
    else:
        findings = []
        for book in (CORE, DB):
            trouble, text = read(tree, book)
            findings += trouble
            (root / book.table).write_text(text, encoding="utf-8")
    print("\n".join(findings) if findings else "conformance: every line has its test, or is owned up to")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
