#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the compiler refuses a wrong use, with the words that we chose.

refuse.py FILE COMPILER-ID COMPILER-VERSION COMMAND...   where COMMAND compiles and FILE is added to it.

FILE is compiled as it stands, which must succeed, and once more with -DCOAIO_BAD, which must fail and say something
that matches each `// expect: REGEX` of FILE. `// only: GNU < 12.3` limits the second half to some compilers.
"""
import re
import subprocess
import sys


def version(text):
    return [int(part) for part in text.split(".")]


def applies(source, compiler, number):
    only = re.search(r"^// only: (\w+)(?: (<|>=) ([\d.]+))?$", source, re.M)
    if not only:
        return True
    name, relation, bound = only.groups()
    if name != compiler:
        return False
    return relation is None or (version(number) < version(bound)) == (relation == "<")


def main():
    path, compiler, number, *command = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        source = file.read()
    expected = re.findall(r"^// expect: (.+)$", source, re.M)
    if not expected or "COAIO_BAD" not in source:
        sys.exit(f"{path}: it wants a line `// expect: REGEX` and a part under COAIO_BAD")

    good = subprocess.run([*command, path], capture_output=True, text=True)
    if good.returncode != 0:
        sys.exit(f"{path}: the good half does not compile:\n{good.stderr}")
    if not applies(source, compiler, number):
        print(f"{path}: nothing to refuse for {compiler} {number}")
        return
    bad = subprocess.run([*command, "-DCOAIO_BAD", path], capture_output=True, text=True)
    if bad.returncode == 0:
        sys.exit(f"{path}: the bad half was accepted")
    for regex in expected:
        if not re.search(regex, bad.stderr):
            sys.exit(f"{path}: refused, but without saying /{regex}/:\n{bad.stderr}")
    print(f"{path}: refused as it should be")


main()
