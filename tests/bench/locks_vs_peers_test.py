#!/usr/bin/env python3
"""tests/bench/locks_vs_peers measures Ringlock alone, for a moment; no time is judged. The programs are those of
RINGLOCK_BUILD."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tools"), os.path.join(HERE, "..", "..", "tools", "drill"), HERE]

import held_locks  # pylint: disable=wrong-import-position

BUILD = os.environ["RINGLOCK_BUILD"]
POINTS = ["known_1", "fresh_64", "handover_16"]
LOCKS = 2000


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def bench(*options, path=None):
    environment = {**os.environ, "PATH": path} if path else None
    return subprocess.run([sys.executable, os.path.join(HERE, "locks_vs_peers"), "--built", *options], text=True,
                          capture_output=True, env=environment)


def load(*words):
    program = os.path.join(BUILD, "tests", "bench", "lock_load")
    return subprocess.run([program, *words], text=True, capture_output=True, stdin=subprocess.DEVNULL)


def asks_of_who_asks_wrongly():
    for options, words in ((["--rows", "nonsense"], "there is no nonsense"), (["--systems", "dlm"], "there is no dlm"),
                           (["--seconds", "60"], "--seconds is from"), (["--held", "many"], "--held"),
                           (["--held", "3"], "--held")):
        told = bench(*options)
        check(told.returncode == 2 and words in told.stderr, f"{options}: {told}")
    for arguments in ((), ("cycles",), ("watch", "here", "soon"), ("hold", "here", "65537", "1"),
                      ("cycles", "dlm", "1", "known", "1", "0", "0", "here"),
                      ("cycles", "redis", "1", "known", "1", "2", "1", "here"),
                      ("cycles", "redis", "1", "any", "1", "0", "0", "here")):
        told = load(*arguments)
        check(told.returncode == 64 and told.stderr.startswith("lock_load: "), f"{arguments}: {told}")
    told = load("cycles", "etcd", "1", "known", "1", "0", "0", "127.0.0.1:1")
    check(told.returncode == 69 and "can not connect to 127.0.0.1:1" in told.stderr, f"nobody there: {told}")


def says_who_is_missing():
    with tempfile.TemporaryDirectory() as nothing:
        told = bench("--systems", "etcd-disk,zookeeper-tmpfs,redis", "--rows", "known_1", path=nothing)
    for words in ("etcd is not installed", "java is not installed", "redis-server is not installed"):
        check(f"NOT MEASURED: {words}" in told.stdout, f"{words}: {told}")
    check(told.stdout.endswith("RESULT rows=0 reached=0\n") and told.returncode == 0, f"nobody to judge: {told}")


def measures_cycles():
    told = bench("--systems", "ringlock", "--rows", ",".join(POINTS), "--seconds", "0.2", "--rounds", "1")
    lines = [line.split() for line in told.stdout.splitlines()]
    figures = [line for line in lines if line[:1] == ["ringlock"] and line[-1].endswith("%")]
    check(len(figures) == len(POINTS) and told.returncode == 0, f"{told}")
    check(all(float(line[1]) > 0 for line in figures), f"cycles: {figures}")
    # Of one client nobody takes over; of several that wait for the same lock each time another one.
    cycles, handovers = float(figures[2][1]), float(figures[2][2])
    check(float(figures[0][2]) == 0 and abs(handovers - cycles) < 0.1 * cycles + 20, f"hand-overs: {figures}")


def measures_held_locks():
    held_locks.CALM_SECONDS = 0.3
    found = held_locks.measure(BUILD, LOCKS, tempfile.gettempdir())
    check(found.locks == LOCKS and sorted(found.bytes_per_lock) == [1, 2, 3], f"{found}")
    check(found.waits["kill"] > 0 and found.waits["kill_holder"] > 0, f"nobody noticed who died: {found}")
    check(found.expire_seconds > found.waits["kill_holder"] / 1000, f"free before a new configuration: {found}")


asks_of_who_asks_wrongly()
says_who_is_missing()
measures_cycles()
measures_held_locks()
