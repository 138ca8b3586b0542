#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up what a run of ctest did: count.py FOLDER, with junit.xml and the counts that main.cpp writes in it."""
import pathlib
import sys
import xml.etree.ElementTree as xml


def main():
    folder = pathlib.Path(sys.argv[1])
    report = folder / "junit.xml"
    if not report.exists():
        sys.exit("./dev: ctest wrote no report")
    passed = failed = skipped = 0
    for test in xml.parse(report).getroot().iter("testcase"):
        status = test.get("status")
        if status in ("notrun", "disabled"):
            skipped += 1
            continue
        counts = folder / test.get("name")
        cases_passed, cases_failed = map(int, counts.read_text().split()) if counts.exists() else (0, 0)
        if status == "run":
            passed += cases_passed or 1
        else:
            passed += cases_passed
            failed += cases_failed or 1
    if skipped:
        print(f"{skipped} not run")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


sys.exit(main())
