#!/usr/bin/env python3
"""tests/bench/barriers_vs_zookeeper: what it makes of figures that are known; and it measures Ringlock alone, for a moment, of
which no time is judged. The programs are those of RINGLOCK_BUILD."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
SCRIPT = os.path.join(HERE, "barriers_vs_zookeeper")
BUILD = os.environ["RINGLOCK_BUILD"]


def imported():
    loader = importlib.machinery.SourceFileLoader("barriers_vs_zookeeper", SCRIPT)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("barriers_vs_zookeeper", loader))
    loader.exec_module(module)
    return module


barriers = imported()


def figures(use_ms, load_percent=10):
    of = {f"{step}_{part}_us": 1.0 for step in barriers.STEPS for part in ("p50", "p99")}
    return {**of, "uses": 9.0, "use_p50_us": 1000.0 * use_ms, "load_percent": float(load_percent)}


class Known(barriers.Bench):
    """Whose systems have taken so long in each round."""

    def __init__(self, rounds):
        super().__init__("no programs", 1)
        self.known = {key: list(of) for key, of in rounds.items()}
        self.turns = []

    def turn(self, system, points):
        self.turns.append((system.name, system.servers))
        for point in points:
            known = self.known.get((point, system.name))
            if known and barriers.POINTS[point][1] == system.servers:
                self.rounds.setdefault((point, system.name), []).append(known.pop(0))


def judged(rounds, points, count, systems=tuple(barriers.SYSTEMS)):
    bench = Known(rounds)
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        bench.beside([barriers.SYSTEMS[name] for name in systems], points, count)
        code = bench.end()
    return bench, told.getvalue(), code


class Arithmetic(unittest.TestCase):
    def test_medians_of_the_rounds_are_compared_with_the_faster_zookeeper(self):
        bench, told, code = judged({("3_over_3", "ringlock"): [figures(1), figures(9), figures(2)],
                                    ("3_over_3", "zookeeper-tmpfs"): [figures(10), figures(10), figures(40)],
                                    ("3_over_3", "zookeeper-disk"): [figures(30), figures(20), figures(11)]},
                                   ["3_over_3"], 3)
        row = bench.rows[0]
        self.assertEqual((row.what, row.figure, row.goal), ("3_over_3, use_p50_us to zookeeper-tmpfs", "0.20x", "<= 0.2x"))
        self.assertEqual((row.reached, row.detail, code), (True, "2000 / 10000", 0))
        self.assertTrue(told.endswith("RESULT rows=1 reached=1\n"))

    def test_a_row_that_is_slower_is_missed(self):
        bench, told, code = judged({("8_over_5", "ringlock"): [figures(2.1)],
                                    ("8_over_5", "zookeeper-disk"): [figures(10)]}, ["8_over_5"], 1)
        self.assertEqual((bench.rows[0].reached, code), (False, 1))
        self.assertTrue(told.endswith("RESULT rows=1 reached=0\n"))

    def test_a_row_is_missed_if_only_zookeeper_was_measured(self):
        bench, _, code = judged({("64_over_3", "zookeeper-disk"): [figures(10)]}, ["64_over_3"], 1)
        self.assertEqual(([row.reached for row in bench.rows], code), ([False], 1))

    def test_without_zookeeper_nothing_is_judged(self):
        bench, told, code = judged({("64_over_3", "ringlock"): [figures(10, 86)]}, ["64_over_3"], 1)
        self.assertEqual((bench.rows, code), ([], 0))
        self.assertIn("the parties are at their limit", told)

    def test_systems_take_turns_the_other_way_round_each_time(self):
        bench, _, _ = judged({}, ["3_over_3", "64_over_5"], 2, ("ringlock", "zookeeper-disk"))
        forth = [(name, servers) for servers in (3, 5) for name in ("ringlock", "zookeeper-disk")]
        self.assertEqual(bench.turns, forth + forth[::-1])


def bench(*options, path=None):
    environment = {**os.environ, "PATH": path} if path else None
    return subprocess.run([sys.executable, SCRIPT, "--built", *options], text=True, capture_output=True, env=environment)


def parties(*words):
    program = os.path.join(BUILD, "tests", "bench", "barrier_load")
    return subprocess.run([program, *words], text=True, capture_output=True)


class Programs(unittest.TestCase):
    def test_whoever_asks_wrongly_is_told(self):
        for options, words in ((["--rows", "4_over_3"], "there is no 4_over_3"), (["--systems", "etcd"], "there is no etcd"),
                               (["--seconds", "60"], "--seconds is from"), (["--rounds", "0"], "--rounds at least 1")):
            told = bench(*options)
            self.assertEqual(told.returncode, 2)
            self.assertIn(words, told.stderr)
        for words in ((), ("ringlock", "3", "1"), ("etcd", "3", "1", "here"), ("ringlock", "0", "1", "here"),
                      ("zookeeper", "3", "soon", "here")):
            told = parties(*words)
            self.assertEqual(told.returncode, 64, words)
            self.assertTrue(told.stderr.startswith("barrier_load: "), told.stderr)

    def test_nobody_there_is_a_failure(self):
        told = parties("zookeeper", "3", "1", "127.0.0.1:1")
        self.assertEqual(told.returncode, 69)
        self.assertIn("can not connect to 127.0.0.1:1", told.stderr)

    def test_who_is_missing_is_named(self):
        with tempfile.TemporaryDirectory() as nothing:
            told = bench("--systems", "zookeeper-tmpfs", "--rows", "3_over_3", path=nothing)
        self.assertIn("NOT MEASURED: java is not installed", told.stdout)
        self.assertTrue(told.stdout.endswith("RESULT rows=0 reached=0\n"))
        self.assertEqual(told.returncode, 0)

    def test_uses_of_ours_are_measured(self):
        told = bench("--systems", "ringlock", "--rows", "3_over_3,64_over_3", "--seconds", "0.2", "--rounds", "1")
        lines = [line.split() for line in told.stdout.splitlines()]
        measured = [line for line in lines if line[:1] == ["ringlock"] and line[-1].endswith("%")]
        self.assertEqual((len(measured), told.returncode), (2, 0), told)
        self.assertTrue(all(float(line[1]) > 0 for line in measured), told)


unittest.main()
