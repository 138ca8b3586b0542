#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Format, rules and clang-tidy: lint.py [--all] [--no-tidy] [PATH...]

Without --all, clang-tidy looks at the files that differ from the last commit but one. With paths, all three look only
at what lies below them.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATABASE = ROOT / "build/dev"


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.split("\0")[:-1] if done.returncode == 0 else None


def below(name, paths):
    return not paths or any(name == path or name.startswith(path.rstrip("/") + "/") for path in paths)


def formatted(names):
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", "--ferror-limit=3", *names], cwd=ROOT,
                          capture_output=True, text=True) if names else None
    return done.stderr.splitlines() if done and done.returncode else []


def tidy(name):
    begin = time.monotonic()
    done = subprocess.run(["clang-tidy-19", "-p", str(DATABASE), "--quiet", name], cwd=ROOT, capture_output=True,
                          text=True)
    found = [line.replace(f"{ROOT}/", "") for line in done.stdout.splitlines()]
    if done.returncode and not found:
        found = done.stderr.splitlines()
    return name, found, time.monotonic() - begin


def to_tidy(names, everything):
    """The sources that the build knows; for a changed header, the source of its name."""
    database = DATABASE / "compile_commands.json"
    known = {os.path.relpath(entry["file"], ROOT) for entry in json.loads(database.read_text())}
    known = {name for name in known if name in names and name.endswith(".cpp")}
    if everything:
        return sorted(known)
    changed = git("diff", "--name-only", "-z", "HEAD~1") or git("diff", "--name-only", "-z", "HEAD") or []
    changed += git("ls-files", "-o", "--exclude-standard", "-z") or []
    stems = {pathlib.PurePath(name).stem for name in changed if name.endswith(".hpp")}
    return sorted(name for name in known if name in changed or pathlib.PurePath(name).stem in stems)


def main():
    options = argparse.ArgumentParser(prog="./dev lint")
    options.add_argument("--all", action="store_true", help="clang-tidy over every file")
    options.add_argument("--no-tidy", action="store_true", help="leave clang-tidy out")
    options.add_argument("paths", nargs="*")
    options = options.parse_args()

    tracked = git("ls-files", "-c", "-o", "--exclude-standard", "-z")
    if tracked is None:
        sys.exit("./dev lint: it needs a git checkout, to know which files are ours")
    names = [name for name in tracked if (ROOT / name).is_file()]
    mine = [name for name in names if below(name, options.paths)]
    trouble = 0

    found = formatted([name for name in mine if name.endswith((".hpp", ".cpp"))])
    print(f"format: {'as it should be' if not found else 'not as ./dev format makes it'}", flush=True)
    if found:
        trouble += 1
        print("\n".join(found))

    found = [line for line in rules.check(rules.Tree(ROOT, names)) if below(line.split(":")[0], options.paths)]
    print(f"rules: {len(found)} findings in {len(mine)} files", flush=True)
    trouble += len(found)
    if found:
        print("\n".join(found))

    if not options.no_tidy:
        begin = time.monotonic()
        files = to_tidy(mine, options.all or bool(options.paths))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, found, _ in pool.map(tidy, files):
                if any(re.search(r": (error|warning): ", line) for line in found):
                    trouble += 1
                    print("\n".join(found), flush=True)
        print(f"clang-tidy: {len(files)} files in {time.monotonic() - begin:.0f} s")

    print("lint: all is well" if not trouble else "lint: FAILED")
    return 1 if trouble else 0


sys.exit(main())
