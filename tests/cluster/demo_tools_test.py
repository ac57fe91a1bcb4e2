#!/usr/bin/env python3
"""tools/cluster and lockbench: clusters side by side that end alone, and figures that are there."""

import json
import os
import subprocess
import tempfile

import bad_input_harness as h
from bad_input_harness import Cluster, check

LOCKBENCH = os.path.join(h.BUILD, "tools", "lockbench")


def cluster_tool(*arguments):
    return h.run(h.CLUSTER, *arguments, env={**os.environ, "RINGLOCK_BUILD": h.BUILD})


def clusters_side_by_side():
    with Cluster(1) as other, Cluster(3) as cluster:
        check(cluster.lockctl(1, "run", "a", "--", "true").returncode == 0, "the one works")
        check(other.lockctl(1, "run", "a", "--", "true").returncode == 0, "the other works")
        pids = [cluster.pid(node) for node in (1, 2, 3)]
        cluster.tool("down", cluster.folder)
        check(not any(os.path.exists(f"/proc/{pid}/cwd") for pid in pids), "its daemons are gone")
        other.check_well()
        check(cluster_tool("status", cluster.folder).returncode == 1, "a cluster that is down is not well")


def killed_and_started():
    with Cluster(3) as cluster:
        before = cluster.pid(2)
        cluster.tool("kill", cluster.folder, "2")
        ended = cluster_tool("status", cluster.folder)
        check(ended.returncode == 1 and "node 2: down" in ended.stdout, f"{ended}")
        check(cluster_tool("kill", cluster.folder, "2").returncode == 1, "a dead node is not killed again")
        cluster.tool("start", cluster.folder, "2")
        check(cluster.pid(2) != before, "another process")
        check(cluster_tool("start", cluster.folder, "2").returncode == 1, "a running node is not started again")
        check(cluster_tool("status", cluster.folder).returncode == 0, "all is well")


def a_stranger_with_the_number_of_a_daemon():
    """A pid file outlives its daemon; whoever has the number by then is not touched."""
    stranger = subprocess.Popen(["tail", "-f", "/dev/null"])
    try:
        with Cluster(1) as cluster:
            cluster.tool("kill", cluster.folder, "1")
            with open(cluster.path("1.pid"), "w", encoding="ascii") as file:
                file.write(f"{stranger.pid}\n")
            check(cluster_tool("kill", cluster.folder, "1").returncode == 1, "nothing to kill")
            cluster.tool("down", cluster.folder)
            check(stranger.poll() is None, "the stranger lives")
    finally:
        stranger.kill()
        stranger.wait()


def mistakes():
    with tempfile.TemporaryDirectory(prefix="ringlock-") as folder:
        with open(os.path.join(folder, "precious"), "w", encoding="ascii"):
            pass
        for arguments, why in ((("up", "3", folder), "not empty"), (("up", "0", folder), "1 to 32"), (("up", "x", folder), "1 to 32"),
                               (("down", folder), "no cluster"), (("start", folder, "1"), "no cluster"), (("kill", folder, "x"), "no cluster")):
            ended = cluster_tool(*arguments)
            check(ended.returncode == 1 and why in ended.stderr, f"{arguments}: {ended}")
        check(os.listdir(folder) == ["precious"], "nothing was touched")
    for arguments in ((), ("up",), ("frobnicate", "x"), ("down", "a", "b")):
        check(cluster_tool(*arguments).returncode == 64, f"usage: {arguments}")


def a_daemon_that_does_not_start():
    """tools/cluster up says what the daemon said, and leaves nothing running."""
    with tempfile.TemporaryDirectory(prefix="ringlock-") as folder:
        broken = os.path.join(folder, "build")
        for path, script in (("lockd/lockd", '[ "$1" = init ] || { echo "no luck" >&2; exit 1; }'), ("tools/lockctl", '[ "$1" = keygen ] || exit 69')):
            os.makedirs(os.path.dirname(os.path.join(broken, path)))
            with open(os.path.join(broken, path), "w", encoding="ascii") as file:
                file.write("#!/bin/sh\n" + script + "\n")
            os.chmod(os.path.join(broken, path), 0o755)
        ended = h.run(h.CLUSTER, "up", "1", os.path.join(folder, "ring"), env={**os.environ, "RINGLOCK_BUILD": broken})
        check(ended.returncode == 1 and "no luck" in ended.stderr, f"{ended}")


def figures():
    ended = h.run(LOCKBENCH, "--nodes", "1,3", "--clients", "1,4", "--seconds", "0.3", "--json")
    check(ended.returncode == 0, f"{ended}")
    clusters = json.loads(ended.stdout)["clusters"]
    check([cluster["nodes"] for cluster in clusters] == [1, 3], "both sizes")
    for cluster in clusters:
        check(cluster["idle"]["resident_bytes"] > 0, "a daemon has memory")
        check([(c["clients"], c["locks"]) for c in cluster["cycles"]] ==
              [(1, "distinct"), (4, "distinct"), (1, "one"), (4, "one")], f"{cluster}")
        for cycles in cluster["cycles"]:
            check(cycles["cycles_per_second"] > 0 and 0 < cycles["acquire"]["p50_ms"] <= cycles["acquire"]["p99_ms"]
                  <= cycles["acquire"]["max_ms"], f"{cycles}")


def memory_of_held_locks():
    ended = h.run(LOCKBENCH, "--hold", "2000", "--nodes", "3", "--json")
    check(ended.returncode == 0, f"{ended}")
    hold = json.loads(ended.stdout)["hold"][0]
    check(hold["locks"] == 2000 and hold["resident_bytes_after"] > 0, f"{hold}")
    check(h.run(LOCKBENCH, "--socket", "/nonexistent/socket").returncode == 69, "no daemon")
    check(h.run(LOCKBENCH, "--nodes", "33").returncode == 64, "usage")


h.main([clusters_side_by_side, killed_and_started, a_stranger_with_the_number_of_a_daemon, mistakes,
        a_daemon_that_does_not_start, figures, memory_of_held_locks])
