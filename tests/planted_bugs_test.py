#!/usr/bin/env python3
"""Every planted bug that random runs of the simulator do not find makes a scenario or a unit test fail.

usage: planted_bugs_test.py ROOT PROGRAM...

A program is a doctest one of mutable code (cmake/targets.cmake). A bug that a table of docs/safety.md or docs/testing.md
names is looked for by the tests beside it alone: so each of these rows is shown to be true. The others are looked for by
all tests. Bugs that a scenario finds are shown by CTest's scenario_NAME_finds_BUG. Those of docs/testing.md break the lock
table or the barrier table, which have models of their own: the simulator need not find them.
"""
import os
import re
import subprocess
import sys

import rule_table_test

SECONDS = 300  # For one program. A bug that makes a test wait for ever ends this one: it needs a better test.
OF_TABLES = [("testing.md", "Each rule of the lock table, and the test that would fail"),
             ("testing.md", "Each rule of barriers, and the test that would fail")]
TABLES = [("safety.md", "Each claim, and the test that would fail"), *OF_TABLES]


def rare(root):
    """The bugs that the simulator does not have to find."""
    source = rule_table_test.read(root, "tests", "sim", "mutants.cc")
    return re.findall(r'^    {"(\w+)"', source.split("kRareMutants", 1)[1].split("};", 1)[0], re.MULTILINE)


def rows(root, page, heading):
    return rule_table_test.rows(rule_table_test.read(root, "docs", page), heading, 3)


def of_tables(root):
    return [bug for table in OF_TABLES for _, _, bugs in rows(root, *table) for bug in rule_table_test.names(bugs)]


def of_scenarios(root):
    folder = os.path.join(root, "tests", "scenarios")
    texts = (rule_table_test.read(folder, file) for file in os.listdir(folder) if file.endswith(".scenario"))
    return {bug for text in texts for bug in re.findall(r"^finds +(\w+)", text, re.MULTILINE)}


def titles(root):
    """{bug: titles of the tests that are to find it}"""
    found = {}
    for _, tests, bugs in [row for table in TABLES for row in rows(root, *table)]:
        for bug in rule_table_test.names(bugs):
            found.setdefault(bug, []).extend(
                test.split(": ", 1)[1] for test in rule_table_test.names(tests) if ".cc: " in test)
    return found


def fails(program, bug, wanted):
    """Whether a test of the program fails with the bug in it."""
    filters = ["-tc=" + ",".join(title.replace("\\", "\\\\").replace(",", "\\,") for title in wanted)] if wanted else []
    ended = subprocess.run([program, "--abort-after=1", *filters], env={**os.environ, "RINGLOCK_MUTANT": bug},
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS)
    return ended.returncode != 0


def main(root, *programs):
    wanted, shown, missed = titles(root), of_scenarios(root), []
    bugs = [bug for bug in rare(root) + of_tables(root) if bug not in shown]
    for bug in bugs:
        finder = next((program for program in programs if fails(program, bug, wanted.get(bug))), None)
        print(f"{bug}: {os.path.basename(finder) if finder else 'NOT FOUND'}", flush=True)
        if finder is None:
            missed.append(bug)
        else:  # It is likely to find the next one too.
            programs = [finder, *(program for program in programs if program != finder)]
    print(f"RESULT bugs={len(bugs)} found={len(bugs) - len(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
