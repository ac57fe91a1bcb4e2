#!/usr/bin/env python3
"""The barriers of libcman: a program (libcman_program.c) that is compiled for our header, at several nodes: what each call
does, and that what was wrong with CMAN's barriers is not so here.

  libcman_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time

import bad_input_harness as h
from bad_input_harness import BUILD, DEADLINE, ROOT, check, wait_until

COMPAT = os.path.join(BUILD, "liblock", "compat")
HEADERS = os.path.join(ROOT, "liblock", "compat")
SOURCE = os.path.join(ROOT, "tests", "cluster", "libcman_program.c")
SYMBOLS = {"cman_init", "cman_admin_init", "cman_finish", "cman_barrier_register", "cman_barrier_change",
           "cman_barrier_wait", "cman_barrier_delete"}
AUTODELETE = 1
ENABLED, NODES, TIMEOUT = 3, 4, 6  # Attributes.

FOLDER = tempfile.TemporaryDirectory(prefix="ringlock-libcman.")
PROGRAM = os.path.join(FOLDER.name, "program")


def done(*command):
    ended = h.run(*command)
    check(ended.returncode == 0, f"{' '.join(command)}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def compile_program():
    library = os.path.join(COMPAT, "libcman.so")
    done("cc", "-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-I", HEADERS, SOURCE, library,
         f"-Wl,-rpath-link,{os.path.join(BUILD, 'liblock')}", "-o", PROGRAM)


class Node:
    """The program at a node: calls are made by name, begin() does not wait for what comes of them."""

    def __init__(self, cluster, node, *, init=True):
        environment = {**os.environ, "LOCKD_SOCKET": cluster.socket(node),
                       "LD_LIBRARY_PATH": f"{COMPAT}:{os.path.join(BUILD, 'liblock')}"}
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        env=environment)
        if init:
            self.call("init")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def begin(self, *words):
        print(*words, file=self.process.stdin, flush=True)

    def result(self):
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        check(ready, "deadline: the call returns")
        return self.process.stdout.readline().strip()

    def is_waiting(self):
        return not select.select([self.process.stdout], [], [], 0)[0]

    def call(self, *words, gives="0"):
        self.begin(*words)
        result = self.result()
        check(result == gives, f"{words} gives {result}, not {gives}")


class Nodes:
    """One at each."""

    def __init__(self, cluster, count):
        self.all = [Node(cluster, node) for node in range(1, count + 1)]

    def __enter__(self):
        return self.all

    def __exit__(self, *_):
        for one in self.all:
            one.__exit__()


def arrived(cluster, name, node=1):
    """How many nodes wait at it."""
    answer = cluster.lockctl(node, "--json", "ls", "--barriers", "--lockspace", "cman")
    check(answer.returncode == 0, answer.stderr)
    for one in json.loads(answer.stdout)["barriers"]:
        if one["name"] == name and one["entering"] is not None:
            return one["entering"]["arrived"]
    return 0


def wait_for_arrivals(cluster, name, count, node=1):
    wait_until(lambda: arrived(cluster, name, node) == count, f"{count} nodes have arrived at {name}")


def wait_for_members(cluster, count, node=1):
    def members():
        answer = cluster.lockctl(node, "--json", "ls", "--lockspaces")
        check(answer.returncode == 0, answer.stderr)
        for one in json.loads(answer.stdout)["lockspaces"]:
            if one["name"] == "cman":
                return len(one["members"])
        return 0
    wait_until(lambda: members() == count, f"{count} nodes are members")


def symbols():
    path = os.path.join(COMPAT, "libcman.so")
    listed = [line.split() for line in done("nm", "-D", "--defined-only", path).splitlines()]
    check({words[2] for words in listed} == SYMBOLS and {words[1] for words in listed} == {"T"}, listed)
    check("[libcman.so.0]" in next(line for line in done("readelf", "-dW", path).splitlines() if "SONAME" in line), path)
    done("c++", "-Wall", "-Wextra", "-fsyntax-only", "-xc++", "-include", os.path.join(HEADERS, "libcman.h"), "/dev/null")


def the_calls():
    with h.Cluster(1) as cluster, Node(cluster, 1) as node:
        node.call("wrong")
        node.call("register", "b", 0, 1)
        node.call("wait", "b")
        # It is over: what that was is told at once, and nothing changes it.
        node.call("wait", "b")
        node.call("register", "b", 0, 1)
        node.call("register", "b", 0, 2, gives="EINVAL")
        for attribute, arg in ((NODES, 2), (TIMEOUT, 1), (ENABLED, 0)):
            node.call("change", "b", attribute, arg)
        node.call("wait", "b")
        node.call("delete", "b")
        node.call("wait", "b", gives="ENOENT")
        # One that deletes itself.
        node.call("register", "b", AUTODELETE, 1)
        node.call("wait", "b")
        node.call("wait", "b", gives="ENOENT")
        node.call("finish")
        node.call("admin")
        node.call("register", "b", 0, 1)
        node.call("wait", "b")
        node.call("finish")


def nodes_go_on_together():
    with h.Cluster(3) as cluster, Nodes(cluster, 3) as nodes:
        for flags in (0, AUTODELETE):
            for round_ in range(3):
                for node in nodes:
                    node.call("register", "b", flags, 3)
                # Arriving without waiting; the first two wait afterwards.
                nodes[0].call("change", "b", ENABLED, 1)
                nodes[1].call("change", "b", ENABLED, 1)
                wait_for_arrivals(cluster, "b", 2)
                nodes[0].begin("wait", "b")
                check(nodes[0].is_waiting(), f"in round {round_} it waits")
                nodes[2].call("wait", "b")
                check(nodes[0].result() == "0", "released")
                # There, one that deletes itself was gone when somebody asked so late.
                nodes[1].call("wait", "b")
                for node in nodes:
                    node.call("delete", "b", gives="ENOENT" if flags else "0")
                check(arrived(cluster, "b") == 0, "nobody is there any more")


def nodes_are_counted_and_not_messages():
    with h.Cluster(2) as cluster, Node(cluster, 1) as first, Node(cluster, 1) as same, Node(cluster, 2) as other:
        for node in (first, same, other):
            node.call("register", "b", 0, 2)
        for _ in range(3):
            first.call("change", "b", ENABLED, 1)
        same.begin("wait", "b")
        first.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        # Nobody goes on before the other node comes: there, three messages would have done.
        wait_for_arrivals(cluster, "b", 1, node=2)
        check(first.is_waiting() and same.is_waiting(), "a node counts once")
        other.call("wait", "b")
        check((first.result(), same.result()) == ("0", "0"), "all are told")


def an_arrival_is_for_one_use():
    with h.Cluster(2) as cluster, Nodes(cluster, 2) as (a, b):
        # There, the message of an arrival that was given up was counted in the next use.
        for node in (a, b):
            node.call("register", "b", 0, 2)
        a.call("change", "b", ENABLED, 1)
        wait_for_arrivals(cluster, "b", 1)
        a.call("delete", "b")
        wait_for_arrivals(cluster, "b", 0)
        b.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        check(b.is_waiting(), "the arrival that was taken back does not count")
        a.call("register", "b", 0, 2)
        a.call("wait", "b")
        check(b.result() == "0", "the new one does")
        for node in (a, b):
            node.call("delete", "b")
            node.call("register", "b", 0, 2)
        b.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        with Node(cluster, 1) as gone:
            gone.call("register", "b", 0, 3)
            gone.begin("wait", "b")
            check(gone.result() == "EINVAL", "others are there with another number of nodes")
        a.call("wait", "b")
        check(b.result() == "0", "released")
        # Finishing is giving up, and no death.
        a.call("register", "c", 0, 3)
        a.begin("wait", "c")
        wait_for_arrivals(cluster, "c", 1)
        with Node(cluster, 2) as gone:
            gone.call("register", "c", 0, 3)
            gone.call("change", "c", ENABLED, 1)
            wait_for_arrivals(cluster, "c", 2)
            gone.call("finish")
        wait_for_arrivals(cluster, "c", 1)
        check(cluster.lockctl(2, "barrier", "c", "--cancel", "--lockspace", "cman").returncode == 0, "cancelled")
        check(a.result() == "ECONNRESET", "nobody has died for it")


def who_registers_late_misses_nothing():
    with h.Cluster(3) as cluster, Nodes(cluster, 3) as (a, b, c):
        # There, an arrival told before this node had registered was lost, and this node waited for ever.
        for node in (a, b):
            node.call("register", "b", AUTODELETE, 3)
            node.call("change", "b", ENABLED, 1)
        wait_for_arrivals(cluster, "b", 2, node=3)
        c.call("register", "b", AUTODELETE, 3)
        c.call("wait", "b")
        # The others are told when they ask; and the next use begins, whoever has not asked.
        a.call("wait", "b")

        def over():
            b.begin("change", "b", NODES, 3)  # Of one that is over success, else EINVAL.
            return b.result() == "0"
        wait_until(over, "the third is told, too")
        for _ in range(20):
            for node in (a, b, c):
                node.call("register", "b", AUTODELETE, 3)
            for node in (a, b, c):
                node.begin("wait", "b")
            check([node.result() for node in (a, b, c)] == ["0", "0", "0"], "all of them")


def a_time_out_is_told_to_all():
    with h.Cluster(3) as cluster, Nodes(cluster, 3) as (a, b, c):
        for node in (a, b, c):
            node.call("register", "b", 0, 3)
            node.call("change", "b", TIMEOUT, 1000 if node == b else 1)
        a.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        b.begin("wait", "b")
        check((a.result(), b.result()) == ("ETIMEDOUT", "ETIMEDOUT"), "time is over for both")
        a.call("wait", "b", gives="ETIMEDOUT")
        # There, the third could still complete it, on messages of two that had given up.
        c.call("wait", "b", gives="ETIMEDOUT")
        # One that has a time-out of its own, while the others have none, is not counted any more.
        for node in (a, b, c):
            node.call("delete", "b")
            node.call("register", "b", 0, 3)
        a.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        b.call("change", "b", TIMEOUT, 1)
        b.call("wait", "b", gives="ETIMEDOUT")
        wait_for_arrivals(cluster, "b", 1)
        c.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 2)
        check(a.is_waiting() and c.is_waiting(), "two of three")
        b.call("delete", "b")
        b.call("register", "b", 0, 3)
        b.call("wait", "b")
        check((a.result(), c.result()) == ("0", "0"), "three")


def a_death_is_told_to_all():
    with h.Cluster(3) as cluster, Nodes(cluster, 3) as (a, b, c):
        wait_for_members(cluster, 3)
        # Of a program.
        for node in (a, b, c):
            node.call("register", "b", 0, 4)
            node.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 3)
        c.process.kill()
        check((a.result(), b.result()) == ("ESRCH", "ESRCH"), "both are told")
        # Of a node that was still to come; of all nodes it is not waited for.
        for node in (a, b):
            node.call("register", "fixed", 0, 3)
            node.call("register", "all", 0, 0)
            node.call("change", "all", ENABLED, 1)
            node.begin("wait", "fixed")
        wait_for_arrivals(cluster, "fixed", 2)
        wait_for_arrivals(cluster, "all", 2)
        cluster.tool("kill", cluster.folder, "3")
        check((a.result(), b.result()) == ("ESRCH", "ESRCH"), "both decide anew")
        for node in (a, b):
            node.call("wait", "all")
            node.call("delete", "all")
        # The next use is not disturbed by what has been told.
        for node in (a, b):
            node.call("register", "next", AUTODELETE, 2)
            node.begin("wait", "next")
        check((a.result(), b.result()) == ("0", "0"), "two are left")
        cluster.tool("start", cluster.folder, "3")


def all_nodes():
    with h.Cluster(3) as cluster, Nodes(cluster, 2) as (a, b):
        wait_for_members(cluster, 2)
        for node in (a, b):
            node.call("register", "b", 0, 0)
        a.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        # Who joins meanwhile is waited for.
        with Node(cluster, 3) as c:
            wait_for_members(cluster, 3)
            b.begin("wait", "b")
            wait_for_arrivals(cluster, "b", 2)
            check(a.is_waiting() and b.is_waiting(), "the third is missed")
            c.call("register", "b", 0, 0)
            c.call("wait", "b")
            check((a.result(), b.result()) == ("0", "0"), "all")


def signals_and_operators():
    with h.Cluster(2) as cluster, Nodes(cluster, 2) as (a, b):
        for node in (a, b):
            node.call("register", "b", 0, 2)
        a.call("alarm", 200)
        a.call("wait", "b", gives="EINTR")
        wait_for_arrivals(cluster, "b", 1)
        a.begin("wait", "b")
        b.call("wait", "b")
        check(a.result() == "0", "the arrival was still there")
        a.call("delete", "b")
        a.call("register", "b", 0, 3)
        a.begin("wait", "b")
        wait_for_arrivals(cluster, "b", 1)
        ended = cluster.lockctl(2, "barrier", "b", "--cancel", "--lockspace", "cman")
        check(ended.returncode == 0 and a.result() == "ECONNRESET", ended)


def an_idle_program_stays_arrived():
    with h.Cluster(2) as cluster, Nodes(cluster, 2) as (a, b):
        for node in (a, b):
            node.call("register", "b", 0, 2)
        a.call("change", "b", ENABLED, 1)
        wait_for_arrivals(cluster, "b", 1)
        # For longer than the lease: a session that nobody serves would have ended, which is a death.
        lease = 2 * 2.0
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() > begin + lease and arrived(cluster, "b") == 1, "it is still there")
        b.call("wait", "b")
        a.call("wait", "b")


def without_a_daemon():
    with h.Cluster(3) as cluster:
        with Nodes(cluster, 1) as (a,):
            a.call("register", "b", 0, 2)
            a.begin("wait", "b")
            wait_for_arrivals(cluster, "b", 1)
            for node in (2, 3):
                cluster.tool("kill", cluster.folder, str(node))
            check(a.result() == "ENOTCONN", "without a quorum nobody is released")
            cluster.tool("kill", cluster.folder, "1")
            with Node(cluster, 1, init=False) as late:
                late.call("init", gives="ECONNREFUSED")
        for node in (1, 2, 3):
            cluster.tool("start", cluster.folder, str(node))


def a_restart_of_lockd_is_survived():
    with h.Cluster(3) as cluster:
        cluster.restart_with("lease_ms = 60000")
        with Nodes(cluster, 3) as (a, b, c):
            wait_for_members(cluster, 3)
            for node in (a, b):
                node.call("register", "b", 0, 2)
            cluster.tool("kill", cluster.folder, "1")
            cluster.tool("start", cluster.folder, "1")
            for node in (a, b):
                node.begin("wait", "b")
            check((a.result(), b.result()) == ("0", "0"), "with the handles of before")
            wait_for_members(cluster, 3)
            for node in (a, b, c):
                node.call("register", "all", AUTODELETE, 0)
                node.begin("wait", "all")
            check([node.result() for node in (a, b, c)] == ["0", "0", "0"], "a node that is back is one of all")


def main():
    if not os.path.exists(h.LOCKD):
        sys.exit(f"{h.LOCKD} is not built; run tools/build")
    compile_program()
    h.main([symbols, the_calls, nodes_go_on_together, nodes_are_counted_and_not_messages, an_arrival_is_for_one_use,
            who_registers_late_misses_nothing, a_time_out_is_told_to_all, a_death_is_told_to_all, all_nodes,
            signals_and_operators, an_idle_program_stays_arrived, without_a_daemon, a_restart_of_lockd_is_survived])


if __name__ == "__main__":
    main()
