#!/usr/bin/env python3
"""What tests/bench/lock_figures.py makes of figures that are known."""

import unittest

from lock_figures import Goal, at_most, best, first_after, judge, kind_of_files, longest, medians, parse

MS = 1_000_000


class Figures(unittest.TestCase):
    def test_a_line_of_lock_load_is_read(self):
        self.assertEqual(parse("cycles_per_second=12.5 cycle_p50_us=3.0\n"),
                         {"cycles_per_second": 12.5, "cycle_p50_us": 3.0})

    def test_each_figure_has_a_median_of_its_own(self):
        rounds = [{"a": 1, "b": 9}, {"a": 3, "b": 7}, {"a": 2, "b": 8}]
        self.assertEqual(medians(rounds), {"a": 2, "b": 8})
        self.assertEqual(medians(rounds[:2]), {"a": 2, "b": 8})

    def test_the_best_is_the_fastest_or_the_one_with_the_shortest_time(self):
        settings = {"one": {"rate": 5}, "two": {"rate": 7}}
        self.assertEqual(best(settings, "rate", ">="), "two")
        self.assertEqual(best(settings, "rate", "<="), "one")
        self.assertIsNone(best({}, "rate", ">="))


class Judgement(unittest.TestCase):
    measured = {"ringlock": {"rate": 200, "time": 3}, "a": {"rate": 10, "time": 9}, "b": {"rate": 20, "time": 10}}

    def test_ours_is_compared_with_the_best_of_them(self):
        row = judge(Goal((), ("a", "b"), "rate", ">=", 10), "here", self.measured)
        self.assertEqual((row.what, row.figure, row.goal), ("here, rate to b", "10.00x", ">= 10x"))
        self.assertEqual((row.reached, row.detail), (True, "200 / 20"))
        self.assertFalse(judge(Goal((), ("b",), "rate", ">", 10), "here", self.measured).reached)

    def test_of_times_the_best_is_the_shortest(self):
        row = judge(Goal((), ("a", "b"), "time", "<=", 0.3), "here", self.measured)
        self.assertEqual((row.what, row.figure, row.reached), ("here, time to a", "0.33x", False))
        self.assertTrue(judge(Goal((), ("a", "b"), "time", "<=", 0.34), "here", self.measured).reached)

    def test_who_was_not_measured_is_not_judged(self):
        self.assertIsNone(judge(Goal((), ("c",), "rate", ">=", 1), "here", self.measured))

    def test_a_goal_is_missed_if_ours_has_no_figure(self):
        row = judge(Goal((), ("a",), "rate", ">=", 1), "here", {"a": {"rate": 10}})
        self.assertFalse(row.reached)

    def test_a_limit_may_be_met_exactly(self):
        self.assertTrue(at_most("", 300, 300, "bytes").reached)
        self.assertFalse(at_most("", 300.1, 300, "bytes").reached)


class Pauses(unittest.TestCase):
    gaps = [(10 * MS, 12 * MS), (100 * MS, 800 * MS), (900 * MS, 905 * MS)]

    def test_a_gap_counts_whole_if_the_time_touches_it(self):
        self.assertEqual(longest(self.gaps, 0, 1000 * MS), 700)
        self.assertEqual(longest(self.gaps, 700 * MS, 701 * MS), 700)
        self.assertEqual(longest(self.gaps, 800 * MS, 1000 * MS), 5)
        self.assertEqual(longest(self.gaps, 12 * MS, 100 * MS), 0)

    def test_a_fault_has_made_the_gap_that_goes_on_or_begins_soon(self):
        self.assertEqual(first_after(self.gaps, 99 * MS, 50 * MS), self.gaps[1])
        self.assertEqual(first_after(self.gaps, 101 * MS, 50 * MS), self.gaps[1])
        self.assertEqual(first_after(self.gaps, 11 * MS, 200 * MS), self.gaps[1])
        self.assertIsNone(first_after(self.gaps, 20 * MS, 50 * MS))


class Files(unittest.TestCase):
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n/dev/b /dev/shmooth xfs rw 0 0\n"

    def test_a_folder_lies_on_the_innermost_mount(self):
        self.assertEqual(kind_of_files("/var/tmp", self.mounts), "ext4")
        self.assertEqual(kind_of_files("/dev/shm", self.mounts), "tmpfs")
        self.assertEqual(kind_of_files("/dev/shm/x", self.mounts), "tmpfs")
        self.assertEqual(kind_of_files("/dev/shmooth/x", self.mounts), "xfs")
        self.assertEqual(kind_of_files("/dev/shmoo", self.mounts), "ext4")

    def test_a_mount_over_another_hides_it(self):
        self.assertEqual(kind_of_files("/x", self.mounts + "tmpfs / tmpfs rw 0 0\n"), "tmpfs")


unittest.main()
