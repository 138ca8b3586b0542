# SPDX-License-Identifier: MIT
"""The rules of this project that a machine can check by reading. Each takes the tree and yields findings.

A line that breaks a rule for a reason says so: `// lint-ok: RULE why`.
"""
import pathlib
import re

from conformance import conformance

MODULES = ["core", "net", "http", "db"]
MAY_INCLUDE = {"core": {"core"}, "net": {"core", "net"}, "http": {"core", "net", "http"}, "db": {"core", "db"}}
SOURCE = {".hpp", ".cpp"}
# POSIX is the platform; everything else that ends in .h belongs to a library, whose types no public header shows.
POSIX = re.compile(r"^(sys/|netinet/|arpa/)|^(unistd|signal|fcntl|poll|time|netdb|errno)\.h$")


class Tree:
    """The files to look at: paths relative to the root, and their text."""

    def __init__(self, root, names):
        self.root = pathlib.Path(root)
        self.names = sorted(name for name in names if (self.root / name).is_file())
        self.texts = {}

    def text(self, name):
        if name not in self.texts:
            self.texts[name] = (self.root / name).read_text(encoding="utf-8", errors="replace")
        return self.texts[name]

    def exists(self, name):
        return (self.root / name).is_file()

    def sources(self):
        return [name for name in self.names if pathlib.PurePath(name).suffix in SOURCE]

    def public_headers(self):
        return [name for name in self.sources() if re.match(r"(core|net|http|db)/include/", name)]


def code_only(text):
    """The text with comments and literals blanked, line breaks kept."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
        re.S)

    def blank(match):
        found = match.group(0)
        filler = re.sub(r"[^\n]", " ", found)
        return '""' + filler[2:] if found.startswith(('"', "R")) and len(found) > 1 else filler

    return token.sub(blank, text)


def closing(code, start):
    """The index after the bracket that closes the one at start."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    open_, close = code[start], pairs[code[start]]
    depth = 0
    for index in range(start, len(code)):
        if code[index] == open_:
            depth += 1
        elif code[index] == close:
            depth -= 1
            if depth == 0:
                return index + 1
    return len(code)


def without_bodies(code):
    """The code without what stands in braces: the body of a lambda is not part of the expression around it."""
    kept, index = [], 0
    while index < len(code):
        if code[index] == "{":
            end = closing(code, index)
            kept.append("{}")
            index = end
        else:
            kept.append(code[index])
            index += 1
    return "".join(kept)


def line_of(text, index):
    return text.count("\n", 0, index) + 1


def allowed(tree, name, line, rule):
    lines = tree.text(name).split("\n")
    return any(f"lint-ok: {rule} " in text for text in lines[max(0, line - 2):line])


def finding(tree, name, line, rule, words):
    if not allowed(tree, name, line, rule):
        yield f"{name}:{line}: {words} [{rule}]"


# --- layout ---------------------------------------------------------------------

def spdx(tree):
    wanted = re.compile(r"\.(hpp|cpp|py|sh|cmake|in|js|css)$|(^|/)CMakeLists\.txt$|^dev$|^\.ci/run$|(^|/)run$")
    for name in tree.names:
        if wanted.search(name):
            head = tree.text(name).split("\n", 2)[:2]
            at = 1 if head[0].startswith("#!") else 0
            if len(head) <= at or "SPDX-License-Identifier: MIT" not in head[at]:
                yield f"{name}:1: the first line is not the SPDX line [spdx]"
        if name.endswith(".hpp") and not tree.text(name).startswith("// SPDX-License-Identifier: MIT\n#pragma once\n"):
            yield f"{name}:2: a header goes on with #pragma once [spdx]"


def length(tree):
    for name in tree.sources():
        lines = tree.text(name).count("\n")
        if lines > 600:
            yield f"{name}:1: {lines} lines; above 600 a seam is missing [length]"
    if tree.exists("README.md"):
        lines = tree.text("README.md").count("\n")
        if lines > 120:
            yield f"README.md:1: {lines} lines; a newcomer reads 120 [length]"


def umbrellas(tree):
    for module in MODULES:
        umbrella = f"{module}/include/coaio/{module}.hpp"
        wanted = {f"coaio/{module}/{name.rsplit('/', 1)[1]}" for name in tree.public_headers()
                  if re.match(rf"{module}/include/coaio/{module}/[^/]+\.hpp$", name)}
        if not wanted:
            continue
        if not tree.exists(umbrella):
            yield f"{umbrella}:1: is missing [umbrella]"
            continue
        there = set(re.findall(r"#include <([^>]+)>", tree.text(umbrella)))
        for header in sorted(wanted - there):
            yield f"{umbrella}:1: does not include <{header}> [umbrella]"
        for header in sorted(there - wanted):
            yield f"{umbrella}:1: includes <{header}>, which is no header of this module [umbrella]"


def listed(tree):
    """A file that no CMakeLists.txt names is not built, and nobody notices."""
    words = "".join(tree.text(name) for name in tree.names if name.startswith("cmake/"))
    for name in tree.sources():
        if name.startswith("tests/fuzz/"):
            continue  # named by a loop in the lists of their modules
        if name.startswith("tests/consumer/") and name.endswith(".hpp"):
            continue
        parent = pathlib.PurePath(name).parent
        while str(parent) != "." and not tree.exists(f"{parent}/CMakeLists.txt"):
            parent = parent.parent
        lists = "CMakeLists.txt" if str(parent) == "." else f"{parent}/CMakeLists.txt"
        if not tree.exists(lists):
            continue
        if name.endswith(".hpp") and "/include/" not in name:
            continue
        short = name.split("/include/coaio/", 1)[1] if "/include/coaio/" in name else pathlib.PurePath(name).name
        short = short.split("/", 1)[-1]
        if name == f"{name.split('/')[0]}/include/coaio/{name.split('/')[0]}.hpp" or name.startswith("tests/consumer/"):
            continue
        # What several folders share is listed by any of them.
        shared = "".join(tree.text(each) for each in tree.names
                         if name.startswith("tests/support/") and re.fullmatch(r"(tests|bench)/.*CMakeLists\.txt", each))
        if not re.search(rf"(?<![\w.-]){re.escape(short)}(?![\w.-])", tree.text(lists) + shared + words):
            yield f"{lists}:1: does not list {short} [listed]"


def includes(tree):
    for name in tree.sources():
        code = re.sub(r"//[^\n]*", "", tree.text(name))
        found = [(line_of(code, match.start()), match.group(1), match.group(2))
                 for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', code, re.M)]
        module = name.split("/")[0]
        library = module in MODULES
        public = library and "/include/" in name
        umbrella = bool(re.fullmatch(r"(\w+)/include/coaio/\1\.hpp", name))
        for line, kind, path in found:
            if kind == '"' and path.startswith("coaio/"):
                yield from finding(tree, name, line, "include", f"write <{path}>: it is a public header")
            elif kind == '"' and public:
                yield from finding(tree, name, line, "include", f'a public header cannot include the private "{path}"')
            elif kind == '"' and library and "/src/" in name and not tree.exists(f"{module}/src/{path}"):
                yield from finding(tree, name, line, "include", f"there is no {module}/src/{path}")
            if re.fullmatch(r"coaio/(core|net|http|db)\.hpp", path) and (library or name.startswith("tests/")) \
                    and not umbrella and not name.startswith(("tests/consumer/", "tests/docs/", "tests/support/probe")):
                yield from finding(tree, name, line, "include",
                                   f"<{path}> is for users; the library and its tests include what they use")
            if library and path.startswith("coaio/"):
                other = re.match(r"coaio/(\w+)", path).group(1)
                if other in MODULES and other not in MAY_INCLUDE[module]:
                    yield from finding(tree, name, line, "layer", f"{module} does not know {other}")
            if public and kind == "<" and not path.startswith("coaio/"):
                foreign = path.endswith(".h") and not POSIX.search(path)
                if foreign or (("/" in path or path.endswith(".hpp")) and path != "nlohmann/json_fwd.hpp"
                               and not POSIX.search(path)):
                    yield from finding(tree, name, line, "foreign",
                                       f"<{path}> is foreign; its types must not show in a public header")
        if name.endswith(".cpp") and library:
            stem = pathlib.PurePath(name).stem
            for own, form in ((f"{module}/include/coaio/{module}/{stem}.hpp", f"coaio/{module}/{stem}.hpp"),
                              (f"{module}/src/{stem}.hpp", f"{stem}.hpp")):
                if tree.exists(own):
                    if not found or found[0][2] != form:
                        yield from finding(tree, name, found[0][0] if found else 1, "include",
                                           f"a source includes its own header first: {form}")
                    break


def public_conditions(tree):
    """What a macro decides in a public header differs between the library and its user."""
    for name in tree.public_headers():
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b.*\b(NDEBUG|COAIO_\w+|__SANITIZE\w+|_DEBUG)\b", line):
                yield from finding(tree, name, number, "macro", "a public header must not depend on a macro of the build")


# --- what g++ 12.2 makes of coroutines (docs/hazards.md) --------------------------

def hazards(tree):
    for name in tree.sources():
        text = tree.text(name)
        if "co_await" not in text:
            continue
        code = code_only(text)

        def at(index, rule, words):
            return finding(tree, name, line_of(code, index), rule, words)

        for match in re.finditer(r"\b(if|while|switch)\s*(?:constexpr\s*)?\(", code):
            inside = without_bodies(code[match.end() - 1:closing(code, match.end() - 1)])
            before, found, _ = inside.partition("co_await")
            if found and not re.search(r"(?<![=!<>])=(?!=)", before):
                yield from at(match.start(), "B1",
                              f"co_await in the condition of {match.group(1)}: g++ 12.2 drops the whole body. Name the "
                              "result first")
        for match in re.finditer(r"\bfor\s*\(", code):
            inside = without_bodies(code[match.end() - 1:closing(code, match.end() - 1)])
            parts = inside.split(";")
            if len(parts) == 3 and "co_await" in parts[1]:
                yield from at(match.start(), "B1", "co_await in the condition of for: g++ 12.2 drops the whole body")
        for match in re.finditer(r"\b(?:REQUIRE|CHECK)\w*\s*\(", code):
            inside = without_bodies(code[match.end() - 1:closing(code, match.end() - 1)])
            if "co_await" in inside:
                yield from at(match.start(), "B7", "g++ evaluates a co_await in an assertion twice. Name the result first")
        for match in re.finditer(r"\bthrow\b[^;]*;", code):
            if "co_await" in without_bodies(match.group(0)):
                yield from at(match.start(), "B5", "co_await in a throw is a double free on g++ 12.2. Await first")
        for match in re.finditer(r"\bco_await\s*\([^;]*\?[^;]*:|[?:]\s*co_await\b(?!\s*:)", code):
            if not re.search(r"(case [^\n]*|default\s*|\w+\s*):\s*co_await\Z", code[:match.end()]) or "?" in match.group(0):
                yield from at(match.start(), "B3", "g++ 12.2 copies a class bitwise through ?: beside co_await. Use if/else")
        for match in re.finditer(r"\bco_await\b[^;{}]*?(\(\s*|,\s*|\w+<[^;{}()]*>\s*)\{\s*([^}\s.][^}]*)\}", code):
            before = code[match.start():match.start(2)].rstrip()[:-1].rstrip()
            if re.search(r"\[[^\]]*\]\s*(\([^)]*\))?[^(){}]*$", before):
                continue  # the body of a lambda
            yield from at(match.start(), "B4",
                          "a braced list beside co_await does not compile, or is copied bitwise, on g++ 12.2. Name it first")


# --- habits -----------------------------------------------------------------------

def sleeping_tests(tree):
    for name in tree.sources():
        if name.startswith("tests/"):
            for match in re.finditer(r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(", code_only(tree.text(name))):
                yield from finding(tree, name, line_of(tree.text(name), match.start()), "sleep", "a test does not sleep")


def clocks(tree):
    """A seed replays a run only if time and chance come from the loop, which alone asks the system."""
    asks = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock)::now\b|\brandom_device\b|\b(clock_gettime|"
                      r"gettimeofday|getrandom|arc4random)\s*\(|\btime\s*\(\s*(nullptr|NULL|0)\s*\)|\brand\s*\(\s*\)")
    for name in tree.sources():
        if name.split("/")[0] in MODULES + ["apps"] and name != "core/src/loop.cpp":
            code = code_only(tree.text(name))
            for match in asks.finditer(code):
                yield from finding(tree, name, line_of(code, match.start()), "clock",
                                   "time and chance come from the loop only")


def unfinished(tree):
    for name in tree.sources():
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield from finding(tree, name, number, "unfinished", "finish it, or write an issue")


# --- documents --------------------------------------------------------------------

def listings(tree):
    """Each C++ listing of a document is the region of a compiled file that its comment names.

    <!-- listing: path#tag --> before the fence; `// [tag]` and `// [/tag]` around the region, whose indent is dropped.
    """
    for name in tree.names:
        if not re.fullmatch(r"README\.md|CONTRIBUTING\.md|docs/[^/]+\.md|apps/.*\.md", name):
            continue
        lines = tree.text(name).split("\n")
        index = 0
        while index < len(lines):
            if lines[index].strip() not in ("```cpp", "```c++", "```C++", "```cc"):
                index += 1
                continue
            begin = index
            index += 1
            body = []
            while index < len(lines) and lines[index].strip() != "```":
                body.append(lines[index])
                index += 1
            marker = re.fullmatch(r"<!-- listing: (\S+)#(\S+) -->", lines[begin - 1].strip()) if begin else None
            if not marker:
                yield f"{name}:{begin + 1}: a listing that names no compiled source above it [listing]"
                continue
            path, tag = marker.groups()
            region = listing_region(tree, path, tag)
            if region is None:
                yield f"{name}:{begin + 1}: {path} has no region [{tag}], or no CMakeLists.txt names it [listing]"
            elif region != body:
                yield f"{name}:{begin + 1}: differs from {path}#{tag} [listing]"


def listing_region(tree, path, tag):
    if not tree.exists(path) or not any(name.endswith("CMakeLists.txt") and pathlib.PurePath(path).name in tree.text(name)
                                        for name in tree.names):
        return None
    region, inside = [], False
    for line in tree.text(path).split("\n"):
        if line.strip() == f"// [{tag}]":
            inside = True
        elif line.strip() == f"// [/{tag}]":
            indent = min((len(one) - len(one.lstrip()) for one in region if one.strip()), default=0)
            return [one[indent:].rstrip() for one in region]
        elif inside and not re.fullmatch(r"\s*// \[/?[\w-]+\]", line):
            region.append(line)
    return None


def links(tree):
    """A link to a file leads somewhere."""
    for name in tree.names:
        if not name.endswith(".md"):
            continue
        fenced = False
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            fenced ^= line.lstrip().startswith("```")
            if fenced:
                continue
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if "://" not in target and not (tree.root / name).parent.joinpath(target).exists():
                    yield f"{name}:{number}: leads to {target}, which is not there [link]"


ALL = [spdx, length, umbrellas, listed, includes, public_conditions, hazards, sleeping_tests, clocks, unfinished, listings,
       links, conformance]


def check(tree):
    return [found for rule in ALL for found in rule(tree)]
