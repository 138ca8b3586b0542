#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutants.py BUILD: breaks the client in ways that lose or double money, and sees coaio-soak find each of them.

A check that cannot fail proves nothing. Changes files of db/src and puts them back; for a working tree that is clean.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRANSACTION, COMMIT = "db/src/transaction.cpp", "db/src/commit.cpp"
MUTANTS = [
    ("acknowledges a COMMIT whose answer was lost", TRANSACTION,
     "if (outcome == Outcome::committed) co_return;", "if (outcome != Outcome::not_sent) co_return;"),
    ("takes ROLLBACK's tag for success", TRANSACTION,
     'if (answer.command() != "COMMIT") {', 'if (answer.command() == "none of these") {'),
    ("calls every lost COMMIT rolled back, so that it would be tried again blindly", TRANSACTION,
     "const Outcome outcome = co_await look_up(std::move(token));",
     "const Outcome outcome = token ? Outcome::rolled_back : Outcome::unknown;"),
    ("takes its own fence for the transaction's token", COMMIT, "'infinity') on conflict", "now()) on conflict"),
    ("commits what a failed body has left", TRANSACTION,
     'sql = "rollback";', 'sql = "commit";'),
]


def run(build, seconds, seeds):
    for seed in seeds:
        done = subprocess.run([build / "bin/coaio-soak", str(seconds), str(seed)], capture_output=True, text=True)
        if done.returncode != 0:
            return [line for line in done.stdout.splitlines() if "WRONG" in line or "FAILED" in line][0]
    return None


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    survivors = 0
    for what, name, old, new in MUTANTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            sys.exit(f"{name}: the place to change is not there once: {old}")
        try:
            path.write_text(text.replace(old, new), encoding="utf-8")
            subprocess.run(["ninja", "-C", build, "coaio-soak"], check=True, capture_output=True)
            found = run(build, 10, range(1, 4))
        finally:
            path.write_text(text, encoding="utf-8")
        survivors += found is None
        print(f"{'caught' if found else 'SURVIVED'}: {what}" + (f"\n    {found}" if found else ""), flush=True)
    subprocess.run(["ninja", "-C", build, "coaio-soak"], check=True, capture_output=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
