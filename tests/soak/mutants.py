#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the client in ways that lose or double money, and sees coaio-soak find each of them.

A check that cannot fail proves nothing, and one that fails without a reason proves no more: the client as it is passes
the same runs first. Changes files of db/src and puts them back, so do not edit them meanwhile.
"""
import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRANSACTION, COMMIT, RETRY, POOL = (f"db/src/{name}.cpp" for name in ("transaction", "commit", "retry", "pool_state"))
LOOK_UP = "if (!failed) outcome = co_await look_up(std::move(token));"
SECONDS, SEEDS = 12, range(1, 6)

# What it does wrong, the only kind of fault to make (all, where empty), and the changes that make it.
MUTANTS = [
    ("acknowledges a COMMIT whose answer was lost", "",
     [(TRANSACTION, "if (outcome == Outcome::committed) co_return;",
       "if (outcome != Outcome::not_sent) co_return;")]),
    ("acknowledges before COMMIT is answered", "",
     [(TRANSACTION, LOOK_UP, "if (!failed) outcome = Outcome::committed;")]),
    ("takes ROLLBACK's tag for success", "",
     [(TRANSACTION, 'if (answer.command() != "COMMIT") {', 'if (answer.command() == "none of these") {')]),
    ("calls every lost COMMIT rolled back, and tries it again where asked to", "",
     [(TRANSACTION, LOOK_UP,
       "if (!failed) outcome = token ? Outcome::rolled_back : Outcome::unknown;")]),
    ("retries blindly: tries again what it does not know the outcome of", "",
     [(TRANSACTION, LOOK_UP, "if (!failed) outcome = Outcome::unknown;"),
      (RETRY, "} catch (const ConnectionError& error) {",
       "} catch (const CommitUnknownError&) {\n        return true;\n    } catch (const ConnectionError& error) {")]),
    ("takes its own fence for the transaction's token", "",
     [(COMMIT, "'infinity') on conflict", "now()) on conflict")]),
    ("commits what a failed body has left", "",
     [(TRANSACTION, 'sql = "rollback";', 'sql = "commit";')]),
    ("leaks a transaction: what comes back in one goes to the next as it is", "",
     [(POOL, "warn_of(slot);\n            start_cleaning(slot);", "offer(slot);")]),
    ("resolves by transaction id, which a server that crashed gives out again", "restart",
     [(TRANSACTION, "sql = detail::commit_script(*token);",
       'const Rows id = co_await link.command("select coalesce(pg_current_xact_id_if_assigned()::text, \'0\')",'
       ' detail::OnCancel::wait);\n        token->text = id.value<std::string>();\n        sql = "select 1; commit";'),
      (COMMIT, """link.command("insert into " + token.table + " (token, at) values (" + key +
                                                ", 'infinity') on conflict do nothing; select at = 'infinity' from " +
                                                token.table + " where token = " + key,""",
       """link.command("select case pg_xact_status(" + key + "::xid8) when 'committed' then false when 'aborted' "
                                                "then true end","""),
      ]),
]


def build_soak(build):
    subprocess.run(["ninja", "-C", build, "coaio-soak"], check=True, capture_output=True)


def finding(build, fault):
    """What the first run that fails says first; None where none does."""
    for seed in SEEDS:
        words = [build / "bin/coaio-soak", str(SECONDS), str(seed)] + ([fault] if fault else [])
        done = subprocess.run(words, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if "WRONG" in line or "FAILED" in line]
        if done.returncode != 0:
            return f"seed {seed}: " + (lines[0] if lines else f"it ended by {done.returncode}")
    return None


def changed(changes):
    """The files with the mutant in them, and as they are."""
    before, after = {}, {}
    for name, old, new in changes:
        path = ROOT / name
        before.setdefault(path, path.read_text(encoding="utf-8"))
        text = after.get(path, before[path])
        if text.count(old) != 1:
            sys.exit(f"{name}: the place to change is not there once: {old}")
        after[path] = text.replace(old, new)
    return before, after


def sound(build, faults):
    """Whether the client as it is passes all runs that its mutants go through."""
    build_soak(build)
    fine = True
    for fault in sorted(faults):
        found = finding(build, fault)
        fine = fine and found is None
        print(f"{'fine' if found is None else 'WRONG'}: the client as it is" + (f", {fault}" if fault else "") +
              (f"\n    {found}" if found else ""), flush=True)
    return fine


def finding_of(build, fault, before, after):
    try:
        for path, text in after.items():
            path.write_text(text, encoding="utf-8")
        build_soak(build)
        found = finding(build, fault)
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", type=pathlib.Path, help="a build directory with coaio-soak")
    parser.add_argument("word", nargs="?", default="", help="only the mutants whose description has it")
    parser.add_argument("--check", action="store_true", help="only look whether the places to change are there")
    args = parser.parse_args()
    chosen = [(what, fault, *changed(changes)) for what, fault, changes in MUTANTS if args.word in what]
    if args.check:
        return 0
    if args.build is None or not (args.build / "build.ninja").is_file():
        parser.error("say where the build is: a directory that ninja builds in")
    if not chosen:
        parser.error(f"no mutant's description has {args.word!r}")
    build = args.build.resolve()
    if not sound(build, {fault for _, fault, _, _ in chosen}):
        print("the client as it is fails, so that no mutant's failure says anything")
        return 1
    survivors = 0
    for what, fault, before, after in chosen:
        found = finding_of(build, fault, before, after)
        survivors += found is None
        print(f"{'caught' if found else 'SURVIVED'}: {what}" + (f"\n    {found}" if found else ""), flush=True)
    build_soak(build)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
