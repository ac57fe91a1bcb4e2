#!/usr/bin/env python3
"""The tables that say where each rule is tested name what exists, and leave no rule out: "The rules, traced" of
docs/protocol.md with functions, scenarios, tests and planted bugs, and "Each claim, and the test that would fail" of
docs/safety.md with tests and planted bugs.

usage: rule_table_test.py ROOT
"""
import os
import re
import sys

RULES = 16  # Of the ring.


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def rows(page, heading, columns):
    """The cells of the table's rows, the head left out."""
    table = re.split("\n##+ ", page.split(f"### {heading}", 1)[1], maxsplit=1)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        if len(cells) != columns:
            raise SystemExit(f"{heading}: not {columns} columns: {line}")
        yield cells


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def code(root, *folders):
    """All there is in the .cc files of these folders."""
    texts = []
    for folder in folders:
        for place, _, files in os.walk(os.path.join(root, folder)):
            texts += [read(place, file) for file in sorted(files) if file.endswith(".cc")]
    return "".join(texts)


class Mutants:
    def __init__(self, root, *folders):
        self.listed = read(root, "tests", "sim", "mutants.cc")
        self.where = "/, ".join(folders) + "/"
        self.code = code(root, *folders)

    def wrong(self, rule, cell):
        for mutant in names(cell):
            if f'MUTANT("{mutant}")' not in self.code:
                yield f"{rule}: {mutant} is planted nowhere in {self.where}"
            if f'"{mutant}"' not in self.listed:
                yield f"{rule}: {mutant} is not listed in tests/sim/mutants.cc"


def wrong_of_ring(root):
    planted = Mutants(root, "evs")
    seen = []
    for rule, functions, tests, mutants in rows(read(root, "docs", "protocol.md"), "The rules, traced", 4):
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
        yield from planted.wrong(f"rule {rule}", mutants)
    if seen != list(range(1, RULES + 1)):
        yield f"the rules should be 1 to {RULES}, they are {seen}"


def has_test(root, test):
    """`test` is a file below tests/unit/lockd, tests/unit or the root, alone or with the title of a test in it."""
    file, _, title = test.partition(": ")
    for folder in ("tests/unit/lockd", "tests/unit", ""):
        path = os.path.join(root, folder, file)
        if os.path.exists(path):
            # A title may be cut over several lines; a test in Python is a function.
            source = re.sub(r'"\s*\n\s*"', "", read(path))
            return not title or f'"{title}"' in source or f"def {title}(" in source
    return False


def wrong_of_locks(root):
    page = read(root, "docs", "safety.md")
    planted = Mutants(root, "evs", "lockd", "dlm", "liblock")
    traced = set()
    for claim, tests, mutants in rows(page, "Each claim, and the test that would fail", 3):
        traced.update(re.findall(r"\b[678]\.[A-C]?[0-9]*\b", claim))
        if not names(tests):
            yield f"{claim}: no test"
        yield from (f"{claim}: there is no test {test}" for test in names(tests) if not has_test(root, test))
        yield from planted.wrong(claim, mutants)
    rules = page.split("\n## The rules\n", 1)[1].split("\n## ", 1)[0]
    stated = {rule for words in re.findall(r"\*\*([^*]+)\*\*", rules) for rule in re.findall(r"[678]\.[A-C]?[0-9]*", words)}
    yield from (f"rule {rule} of docs/safety.md is in no row" for rule in sorted(stated - traced))


if __name__ == "__main__":
    found = [*wrong_of_ring(sys.argv[1]), *wrong_of_locks(sys.argv[1])]
    sys.exit("\n".join(found) if found else 0)
