"""What tests/bench/locks_vs_peers makes of its figures: medians, pauses, and whether a goal is reached. Pure."""

import collections
import statistics

# A line of the judgement: figure and goal as they are printed.
Row = collections.namedtuple("Row", "what figure goal reached detail")

# ours / theirs of `key` has to be `how` than `bound`, at these points. Peers that are the same system with another
# setting count as one: the best of them.
Goal = collections.namedtuple("Goal", "points peers key how bound")

HOLDS = {">=": lambda ratio, bound: ratio >= bound, ">": lambda ratio, bound: ratio > bound,
         "<=": lambda ratio, bound: ratio <= bound}


def parse(line):
    """{"a": 1.0, "b": 2.5} of "a=1 b=2.5"."""
    return {name: float(value) for name, value in (word.split("=") for word in line.split())}


def medians(rounds):
    """Of each figure by itself, over rounds that have the same ones."""
    return {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}


def best(settings, key, how):
    """The name of the setting whose `key` is the best: the highest, or for "<=" the lowest. None if there is none."""
    choose = min if how == "<=" else max
    return choose(settings, key=lambda name: settings[name][key], default=None)


def judge(goal, point, measured):
    """A Row of {setting: figures}, where "ringlock" is ours, or None if no such peer was measured."""
    theirs_by = {name: figures for name, figures in measured.items() if name in goal.peers}
    name = best(theirs_by, goal.key, goal.how)
    if name is None:
        return None
    theirs = theirs_by[name][goal.key]
    what = f"{point}, {goal.key} to {name}"
    bound = f"{goal.how} {goal.bound:g}x"
    if "ringlock" not in measured:
        return Row(what, "-", bound, False, "ringlock was not measured")
    ours = measured["ringlock"][goal.key]
    ratio = ours / theirs if theirs else float("inf")
    return Row(what, f"{ratio:.2f}x", bound, HOLDS[goal.how](ratio, goal.bound), f"{ours:.0f} / {theirs:.0f}")


def at_most(what, figure, bound, unit, detail=""):
    return Row(what, f"{figure:.0f} {unit}", f"<= {bound:g} {unit}", figure <= bound, detail)


def longest(gaps, start, end):
    """The longest of the gaps [(from, to)] that touch the time from start to end, with all of its length; 0 if none
    does. Nanoseconds in, milliseconds out."""
    return max((to - since for since, to in gaps if to > start and since < end), default=0) / 1e6


def first_after(gaps, instant, within):
    """The gap that a fault at `instant` has made: the longest of those that go on at it or begin `within` a time after
    it; None if there is none."""
    return max((gap for gap in gaps if gap[1] > instant and gap[0] <= instant + within),
               key=lambda gap: gap[1] - gap[0], default=None)


def kind_of_files(path, mounts):
    """The kind of file system that holds the path, by the text of /proc/mounts."""
    kind, length = "unknown", -1
    for line in mounts.splitlines():
        _, place, name = line.split()[:3]
        if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= length:
            kind, length = name, len(place)
    return kind
