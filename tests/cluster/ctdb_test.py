#!/usr/bin/env python3
"""Unmodified ctdbd (Debian's ctdb) with our helper as its cluster lock: three of them on addresses of 127.0.0.0/8, each
with a folder of its own and beside a lockd of its own. CTDB's own test mode (CTDB_TEST_MODE) is what lets several run
on one machine.

Without root or the package it is skipped, and says so."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

import bad_input_harness as h
from bad_input_harness import BUILD, Cluster, check, wait_until

SKIPPED = 77
HELPER = os.path.join(h.ROOT, "examples", "ctdb", "ctdb_lock")
LOCK = "ctdb"

CTDB_CONF = """
[logging]
  location = file:{base}/log
  log level = NOTICE
[cluster]
  node address = {address}
  cluster lock = !{helper} --lockctl {lockctl} {lock}
[database]
  volatile database directory = {base}/volatile
  persistent database directory = {base}/persistent
  state database directory = {base}/state
[legacy]
  realtime scheduling = false
"""


def why_not():
    """What is missing for this test, in words; None if nothing is."""
    if os.geteuid() != 0:
        return "it needs root, as ctdbd does"
    for program in ("ctdbd", "ctdb"):
        if shutil.which(program) is None:
            return f"there is no {program}: apt-get install ctdb"
    return None


class Node:
    """A ctdbd and its files, beside the lockd of the same number."""

    def __init__(self, cluster, number, addresses):
        self.cluster, self.number = cluster, number
        self.base = cluster.path(f"ctdb{number}")
        self.daemon = None
        for name in ("events/legacy", "events/notification", "volatile", "persistent", "state", "run", "var"):
            os.makedirs(os.path.join(self.base, name))
        with open(os.path.join(self.base, "nodes"), "w", encoding="ascii") as file:
            file.write("\n".join(addresses) + "\n")
        with open(os.path.join(self.base, "ctdb.conf"), "w", encoding="ascii") as file:
            file.write(CTDB_CONF.format(base=self.base, address=addresses[number - 1], helper=HELPER, lock=LOCK,
                                        lockctl=h.LOCKCTL))
        # CTDB wants the line of the lock to be the same on all nodes.
        self.environment = {**os.environ, "CTDB_TEST_MODE": "yes", "CTDB_BASE": self.base,
                            "LOCKD_SOCKET": cluster.socket(number)}

    def start(self):
        with open(os.path.join(self.base, "out"), "ab") as out:
            self.daemon = subprocess.Popen(["ctdbd", "-i"], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                           env=self.environment, start_new_session=True)

    def ask(self, *question):
        return subprocess.run(["ctdb", *question], env=self.environment, capture_output=True, text=True,
                              timeout=h.DEADLINE)

    def leader(self):
        """The number of the node that this one takes for the leader; None while it knows none."""
        answer = self.ask("leader")
        pnn = answer.stdout.strip()
        return int(pnn) + 1 if answer.returncode == 0 and pnn.isdigit() else None

    def is_well(self):
        """Part of the cluster, and no recovery under way."""
        status = self.ask("status").stdout
        return "OK (THIS NODE)" in status and "Recovery mode:NORMAL" in status

    def processes(self):
        """Of this ctdbd, itself and its helpers too: whose environment has its folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb") as file:
                    if f"CTDB_BASE={self.base}".encode() in file.read().split(b"\0"):
                        found.append(int(pid))
        return found

    def kill(self):
        """The hard way. What it began sees that it is gone and ends by itself."""
        self.daemon.kill()
        self.daemon.wait()
        wait_until(lambda: not self.processes(), f"nothing is left of ctdbd {self.number}: {self.processes()}")

    def end(self):
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def held_by(cluster, asked):
    """(node, token) of who holds the lock, by the lockd of this node; None if nobody does for certain."""
    answer = cluster.lockctl(asked, "--json", "show", LOCK)
    if answer.returncode != 0:
        return None
    shown = json.loads(answer.stdout)
    holders = [lock for lock in shown["holders"] if not lock["orphaned"]]
    check(len(shown["holders"]) <= 1, f"one holds it at most: {shown}")
    return (holders[0]["node"], holders[0]["token"]) if holders and not shown["stale"] else None


def settled(cluster, nodes, asked):
    """The leader, once all of these agree upon it, are well, and it holds the lock; with its token."""
    answer = []

    def agreed():
        leaders = {node.leader() for node in nodes}
        held = held_by(cluster, asked)
        if held is None or leaders != {held[0]} or not all(node.is_well() for node in nodes):
            return False
        answer[:] = held
        return True

    wait_until(agreed, "the nodes have a leader, which holds the lock")
    return tuple(answer)


def helper(cluster, node, *arguments):
    """The helper, run as CTDB does: (process, the character)."""
    process = subprocess.Popen([HELPER, "--lockctl", h.LOCKCTL, "--socket", cluster.socket(node), *arguments],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.read(1)


def finish(process):
    process.wait(timeout=h.DEADLINE)
    said = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    return said


def helper_by_itself(cluster):
    """What CTDB is promised of a helper."""
    first, character = helper(cluster, 1, "alone")
    check(character == "0", f"it holds the lock: {character}")
    second, character = helper(cluster, 2, "alone")
    check(character == "1", f"contention: {character}")
    check(finish(second) == "", "and no word about that")
    first.terminate()
    finish(first)
    third, character = helper(cluster, 2, "alone")
    check(character == "0", f"the first one has given it back: {character}")
    third.kill()
    finish(third)
    wait_until(lambda: json.loads(cluster.lockctl(1, "--json", "show", "alone").stdout)["holders"] == [],
               "killed, it gives the lock back, too")
    # A parent that dies without ending it.
    script = 'import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True).stdout.read(1))'
    ended = h.run(sys.executable, "-c", script, HELPER, "--lockctl", h.LOCKCTL, "--socket", cluster.socket(1), "alone")
    check(ended.stdout == "0\n", f"held: {ended.stdout}{ended.stderr}")
    wait_until(lambda: json.loads(cluster.lockctl(1, "--json", "show", "alone").stdout)["holders"] == [],
               "it ends with its parent")
    wrong, character = helper(cluster, 1, "--lockctl", "/nonexistent/lockctl", "alone")
    check(character == "3" and "/nonexistent/lockctl" in finish(wrong), f"an error, and which: {character}")


def others(nodes, *numbers):
    return [node for node in nodes if node.number not in numbers]


def ctdbd_dies(cluster, nodes):
    leader, token = settled(cluster, nodes, 1)
    nodes[leader - 1].kill()
    left = others(nodes, leader)
    following, later = settled(cluster, left, 1)
    check(following != leader and later > token, f"another leads, by a later grant: {following}, {token}, {later}")
    nodes[leader - 1].start()
    check(settled(cluster, nodes, 1) == (following, later), "who comes back changes nothing")


def lockd_dies(cluster, nodes):
    """The lock is lost with it, and the leader hears that although its ctdbd is well. That one can not check the lock,
    as CTDB does at the end of a recovery, and so recovers when its lockd is back."""
    leader, token = settled(cluster, nodes, 1)
    cluster.tool("kill", cluster.folder, str(leader))
    left = others(nodes, leader)
    following, later = settled(cluster, left, left[0].number)
    check(following != leader and later > token, f"another leads, by a later grant: {following}, {token}, {later}")
    cluster.tool("start", cluster.folder, str(leader))
    wait_until(lambda: cluster.lockctl(leader, "status").returncode == 0 and cluster.status(leader)["primary"],
               "the daemon is back")
    settled(cluster, nodes, leader)


def lockd_stands_still(cluster, nodes):
    """Neither dead nor alive, as in a partition: its clients go by the lease alone."""
    leader, token = settled(cluster, nodes, 1)
    left = others(nodes, leader)
    os.kill(cluster.pid(leader), signal.SIGSTOP)
    try:
        following, later = settled(cluster, left, left[0].number)
        check(following != leader and later > token, f"another leads, by a later grant: {following}, {token}, {later}")
    finally:
        os.kill(cluster.pid(leader), signal.SIGCONT)
    wait_until(lambda: cluster.lockctl(leader, "status").returncode == 0 and cluster.status(leader)["primary"],
               "the daemon is in the primary component again")
    settled(cluster, nodes, leader)


def main():
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    # Other runs of this test are on other addresses.
    net = os.getpid() % 250 + 1
    addresses = [f"127.88.{net}.{node}" for node in (1, 2, 3)]
    with Cluster(3) as cluster, contextlib.ExitStack() as stack:
        nodes = []
        for number in (1, 2, 3):
            nodes.append(Node(cluster, number, addresses))
            stack.callback(nodes[-1].end)
        try:
            helper_by_itself(cluster)
            print("helper_by_itself", flush=True)
            for node in nodes:
                node.start()
            for work in (ctdbd_dies, lockd_dies, lockd_stands_still):
                work(cluster, nodes)
                print(work.__name__, flush=True)
        except BaseException:
            for node in nodes:
                for name in ("out", "log"):
                    with contextlib.suppress(FileNotFoundError), open(os.path.join(node.base, name), encoding="utf-8",
                                                                      errors="replace") as file:
                        sys.stderr.write(f"--- {name} of ctdbd {node.number}\n" + "".join(file.readlines()[-40:]))
            raise
    print("ctdb_test: all passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
