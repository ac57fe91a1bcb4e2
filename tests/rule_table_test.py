#!/usr/bin/env python3
"""The table "The rules, traced" of docs/protocol.md names functions, scenarios, tests and planted bugs: they exist, no
rule is left out, and each has all of them.

usage: rule_table_test.py ROOT
"""
import os
import re
import sys

RULES = 16


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def rows(page):
    """The cells of the table's rows."""
    table = page.split("### The rules, traced", 1)[1].split("\n## ", 1)[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].isdigit():
            yield cells


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def wrong(root):
    planted = read(root, "tests", "sim", "mutants.cc")
    folder = os.path.join(root, "evs")
    ring = "".join(read(folder, file) for file in sorted(os.listdir(folder)) if file.endswith(".cc"))
    seen = []
    for rule, functions, tests, mutants in rows(read(root, "docs", "protocol.md")):
        seen.append(int(rule))
        for kind, cell in (("functions", functions), ("tests", tests), ("planted bugs", mutants)):
            if not names(cell):
                yield f"rule {rule} has no {kind}"
        for function in names(functions):
            file, name = function.split(": ")
            path = os.path.join(root, "evs", file)
            source = read(path) if os.path.exists(path) else ""
            if not re.search(rf"::{name}\(", source):
                yield f"rule {rule}: there is no {function}"
        for test in names(tests):
            places = [("unit", "evs", test + ".cc"), ("scenarios", test + ".scenario")]
            if not any(os.path.exists(os.path.join(root, "tests", *place)) for place in places):
                yield f"rule {rule}: there is no test {test}"
        for mutant in names(mutants):
            if f'MUTANT("{mutant}")' not in ring:
                yield f"rule {rule}: {mutant} is planted nowhere in evs/"
            if f'"{mutant}"' not in planted:
                yield f"rule {rule}: {mutant} is not listed in tests/sim/mutants.cc"
    if seen != list(range(1, RULES + 1)):
        yield f"the rules should be 1 to {RULES}, they are {seen}"


if __name__ == "__main__":
    found = list(wrong(sys.argv[1]))
    sys.exit("\n".join(found) if found else 0)
