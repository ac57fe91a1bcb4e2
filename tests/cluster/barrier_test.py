#!/usr/bin/env python3
"""Barriers that shell jobs wait at (lockctl barrier, lockctl ls --barriers), against real daemons.

  barrier_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import ctypes
import json
import os
import signal
import subprocess

import bad_input_harness as h
from bad_input_harness import DEADLINE, LOCKCTL, check, run, wait_until

LIBLOCK = os.path.join(h.BUILD, "liblock", "liblock.so")
LONG_LEASE = "lease_ms = 60000"


class Job:
    """lockctl barrier in the background. It ends with the `with`."""

    def __init__(self, cluster, node, *arguments):
        self.process = subprocess.Popen([LOCKCTL, "--socket", cluster.socket(node), "--json", "barrier", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def end(self, code):
        """What it printed, which is an object or nothing, and what it complained of."""
        out, complaint = self.process.communicate(timeout=DEADLINE)
        check(self.process.returncode == code, f"it ends with {self.process.returncode}, not {code}: {out}{complaint}")
        return json.loads(out) if out else None, json.loads(complaint) if complaint else None

    def outcome(self, code=0):
        return self.end(code)[0]


class Jobs:
    """Several of them, a node each."""

    def __init__(self, cluster, nodes, *arguments):
        self.jobs = [Job(cluster, node, *arguments) for node in nodes]

    def __enter__(self):
        return self.jobs

    def __exit__(self, *_):
        for job in self.jobs:
            job.__exit__()


def barriers(cluster, node=1):
    answer = cluster.lockctl(node, "--json", "ls", "--barriers")
    check(answer.returncode == 0, f"ls --barriers: {answer.stderr}")
    return {one["name"]: one for one in json.loads(answer.stdout)["barriers"]}


def wait_for_arrivals(cluster, name, count, node=1):
    def there():
        one = barriers(cluster, node).get(name)
        return one is not None and one["entering"] is not None and one["entering"]["arrived"] == count
    wait_until(there, f"{count} have arrived at {name}")


def told_the_same(outcomes):
    """All that was told but who was told."""
    first = {**outcomes[0], "session": None}
    for one in outcomes:
        check({**one, "session": None} == first, f"told otherwise: {one} and {first}")
    sessions = [one["session"] for one in outcomes]
    check(len(set(sessions)) == len(sessions), f"a session each: {sessions}")
    check(set(sessions) <= {one["session"] for one in first["members"]}, f"members all: {outcomes}")
    return first


def fails(ended, code, why):
    check(ended.returncode == code and why in ended.stderr and ended.stdout == "", f"it fails with {code}: {ended}")


def three_jobs_go_on_together():
    with h.Cluster(3) as cluster:
        generations = []
        for round_ in range(3):
            with Jobs(cluster, [1, 2], "loaded", "-p", "3", "--value", f"round {round_}") as early:
                wait_for_arrivals(cluster, "loaded", 2)
                check([job.process.poll() for job in early] == [None, None], "they wait")
                with Job(cluster, 3, "loaded", "-p", "3") as last:
                    outcome = told_the_same([job.outcome() for job in [*early, last]])
            check(outcome["outcome"] == outcome["ending"] == "released" and outcome["lost"] == [], outcome)
            check([(one["node"], one["value"]["text"]) for one in outcome["members"]] ==
                  [(1, f"round {round_}"), (2, f"round {round_}"), (3, "")], outcome)
            generations.append(outcome["generation"])
        check(generations == sorted(set(generations)), f"each use has a higher generation: {generations}")
        check(barriers(cluster) == {}, "it ends with its generation")
        # For people: the generation, or who brought what along.
        check(int(cluster.lockctl(1, "barrier", "one", "-p", "1").stdout) > generations[-1], "its generation")
        with Job(cluster, 1, "ports", "-p", "2", "--value", "0xff00") as early:
            wait_for_arrivals(cluster, "ports", 1)
            check(cluster.lockctl(2, "barrier", "ports", "-p", "2", "--value", "host 7").stdout == "1 0xff00\n2 host 7\n",
                  "what all brought along")
            early.end(0)


def who_waits_too_long():
    with h.Cluster(2) as cluster:
        # It takes its arrival back: one that comes in its place is not counted on top of it.
        fails(cluster.lockctl(1, "barrier", "b", "-p", "2", "--wait", "100ms"), 75, "withdrawn")
        check(barriers(cluster) == {}, "nobody is there")
        with Job(cluster, 1, "b", "-p", "2") as early:
            wait_for_arrivals(cluster, "b", 1)
            fails(cluster.lockctl(2, "barrier", "b", "-p", "3"), 64, "agree")
            check(cluster.lockctl(2, "barrier", "b", "-p", "2", "--wait", "0").returncode == 0, "all are there: no waiting")
            early.end(0)
        # Of a patience all are told.
        with Jobs(cluster, [1, 2], "b", "-p", "3", "--patience", "500ms") as both:
            outcome = told_the_same([job.outcome(75) for job in both])
        check(outcome["outcome"] == "broken" and outcome["ending"] == "timed_out" and len(outcome["members"]) == 2, outcome)


def a_signal_takes_a_job_back():
    with h.Cluster(2) as cluster:
        for number in (signal.SIGINT, signal.SIGTERM):
            with Job(cluster, 1, "b", "-p", "3") as stays:
                with Job(cluster, 2, "b", "-p", "3") as goes:
                    wait_for_arrivals(cluster, "b", 2)
                    goes.process.send_signal(number)
                    out, complaint = goes.end(-number)
                    check(out is None and complaint["exit_code"] == 128 + number and "withdrawn" in complaint["error"],
                          complaint)
                wait_for_arrivals(cluster, "b", 1)
                with Jobs(cluster, [1, 2], "b", "-p", "3") as others:
                    told_the_same([job.outcome() for job in [stays, *others]])


def a_death_is_told_to_the_others():
    with h.Cluster(3) as cluster:
        with Jobs(cluster, [1, 2], "b", "-p", "4") as survivors:
            wait_for_arrivals(cluster, "b", 2)
            with Job(cluster, 3, "b", "-p", "4") as victim:
                wait_for_arrivals(cluster, "b", 3)
                victim.process.kill()
                ended = [job.end(79) for job in survivors]
        outcome = told_the_same([out for out, _ in ended])
        check(outcome["outcome"] == "broken" and outcome["ending"] == "died" and outcome["losses"] == 1, outcome)
        (lost,) = outcome["lost"]
        check(lost["node"] == 3 and lost["session"] not in [one["session"] for one in outcome["members"]], outcome)
        for _, complaint in ended:
            check(f"session {lost['session']} at node 3 died" in complaint["error"], complaint)
        # One that waits for a replacement is not broken.
        with Job(cluster, 1, "b", "-p", "2", "--on-death", "wait") as stays:
            with Job(cluster, 3, "other", "-p", "2", "--on-death", "wait") as victim:
                wait_for_arrivals(cluster, "other", 1)
                victim.process.kill()
                wait_until(lambda: "other" not in barriers(cluster), "the last one has gone")
            wait_for_arrivals(cluster, "b", 1)
            with Job(cluster, 2, "b", "-p", "2", "--on-death", "wait") as comes:
                told_the_same([stays.outcome(), comes.outcome()])


def the_death_of_a_daemon_is_told():
    with h.Cluster(3) as cluster:
        with Jobs(cluster, [1, 2, 3], "b", "-p", "4") as jobs:
            wait_for_arrivals(cluster, "b", 3)
            cluster.tool("kill", cluster.folder, "3")
            outcome = told_the_same([job.outcome(79) for job in jobs[:2]])
            check(outcome["ending"] == "died" and [one["node"] for one in outcome["lost"]] == [3], outcome)
            # The one at the dead daemon can not know.
            check("not known" in jobs[2].end(69)[1]["error"], "it says so")
        cluster.tool("start", cluster.folder, "3")


def a_restart_of_a_daemon_is_waited_for():
    with h.Cluster(3) as cluster:
        cluster.restart_with(LONG_LEASE)
        with Jobs(cluster, [1, 3], "b", "-p", "3", "--wait", f"{DEADLINE}s") as early:
            wait_for_arrivals(cluster, "b", 2)
            cluster.tool("kill", cluster.folder, "3")
            cluster.tool("start", cluster.folder, "3")
            wait_for_arrivals(cluster, "b", 2, node=3)
            with Job(cluster, 2, "b", "-p", "3") as last:
                outcome = told_the_same([job.outcome() for job in [*early, last]])
        check([one["node"] for one in outcome["members"]] == [1, 2, 3], outcome)
        # Released while its daemon is away: told when it is there again.
        with Job(cluster, 3, "b", "-p", "2", "--wait", f"{DEADLINE}s") as away:
            wait_for_arrivals(cluster, "b", 1)
            cluster.tool("kill", cluster.folder, "3")
            with Job(cluster, 2, "b", "-p", "2") as last:
                told = last.outcome()
            cluster.tool("start", cluster.folder, "3")
            told_the_same([told, away.outcome()])


def without_a_daemon_or_a_quorum():
    with h.Cluster(3) as cluster:
        fails(run(LOCKCTL, "--socket", cluster.path("none.sock"), "barrier", "b", "-p", "1"), 69, "is lockd running")
        with Job(cluster, 1, "b", "-p", "2") as waits:
            wait_for_arrivals(cluster, "b", 1)
            for node in (2, 3):
                cluster.tool("kill", cluster.folder, str(node))
            wait_until(lambda: not cluster.status(1)["primary"], "the quorum is gone")
            fails(cluster.lockctl(1, "barrier", "b", "-p", "2", "--wait", "200ms"), 69, "majority")
            fails(cluster.lockctl(1, "barrier", "b", "--cancel"), 69, "majority")
            listed = cluster.lockctl(1, "ls", "--barriers")
            check(listed.returncode == 0 and "no quorum" in listed.stdout and "1 there, 1 missing" in listed.stdout, listed)
            out, complaint = waits.end(69)
            check(out is None and "not known" in complaint["error"], complaint)
        for node in (2, 3):
            cluster.tool("start", cluster.folder, str(node))


def operators_end_barriers():
    with h.Cluster(2) as cluster:
        fails(cluster.lockctl(1, "barrier", "b", "--cancel"), 79, "no such barrier")
        fails(cluster.lockctl(1, "barrier", "b", "--delete"), 79, "no such barrier")
        with Jobs(cluster, [1, 2], "b", "-p", "3", "--keep") as both:
            wait_for_arrivals(cluster, "b", 2)
            check(cluster.lockctl(1, "barrier", "b", "--cancel").returncode == 0, "cancelled")
            check(told_the_same([job.outcome(79) for job in both])["ending"] == "cancelled", "told so")
        fails(cluster.lockctl(1, "barrier", "b", "--cancel"), 79, "nobody is there")
        check(barriers(cluster)["b"]["kept"] and barriers(cluster)["b"]["entering"] is None, "it was kept")
        with Jobs(cluster, [1, 2], "b", "-p", "3") as both:
            wait_for_arrivals(cluster, "b", 2)
            fails(cluster.lockctl(2, "barrier", "b", "--delete"), 75, "--force")
            check(cluster.lockctl(2, "barrier", "b", "--delete", "--force").returncode == 0, "deleted")
            check(told_the_same([job.outcome(79) for job in both])["ending"] == "deleted", "told so")
        check(barriers(cluster) == {}, "it is gone")
        check(cluster.lockctl(1, "ls", "--barriers").stdout == "No barriers.\n", "for people too")


def barriers_are_listed():
    with h.Cluster(2) as cluster:
        with Job(cluster, 1, "jobs/a", "-p", "3", "--patience", "100s"), \
                Job(cluster, 2, "jobs/b", "-p", "2", "--nodes", "--keep", "--lockspace", "web"), \
                Job(cluster, 2, "other", "-p", "2", "--on-death", "wait"):
            for name in ("jobs/a", "jobs/b", "other"):
                wait_for_arrivals(cluster, name, 1)
                wait_for_arrivals(cluster, name, 1, node=2)
            listed = barriers(cluster)
            check(listed == barriers(cluster, 2), "every daemon knows them")
            generations = {name: one["entering"].pop("generation") for name, one in listed.items()}
            check(len(set(generations.values())) == 3, generations)
            check(listed["jobs/a"] == {"lockspace": "default", "name": "jobs/a", "parties": 3, "unit": "sessions",
                                       "on_death": "break", "steps": 1, "patience_seconds": 100.0, "kept": False,
                                       "entering": {"arrived": 1, "missing": 2}, "inside": None}, listed)
            check((listed["jobs/b"]["unit"], listed["jobs/b"]["kept"], listed["jobs/b"]["lockspace"]) ==
                  ("nodes", True, "web"), listed)
            check(listed["other"]["on_death"] == "wait", listed)
            lines = cluster.lockctl(1, "ls", "--barriers", "jobs/").stdout.splitlines()
            check(len(lines) == 3 and lines[0].split()[:2] == ["LOCKSPACE", "NAME"], lines)
            lines = cluster.lockctl(1, "ls", "--barriers", "--lockspace", "web").stdout.splitlines()
            check(len(lines) == 2 and "jobs/b" in lines[1] and "1 there, 1 missing" in lines[1], lines)


def nodes_are_counted_once():
    with h.Cluster(2) as cluster:
        with Job(cluster, 1, "b", "-p", "2", "--nodes") as first:
            wait_for_arrivals(cluster, "b", 1)
            check(cluster.lockctl(1, "barrier", "b", "-p", "2", "--nodes", "--wait", "300ms").returncode == 75, "the same node")
            with Job(cluster, 2, "b", "-p", "2", "--nodes") as second:
                outcome = told_the_same([first.outcome(), second.outcome()])
        check([one["node"] for one in outcome["members"]] == [1, 2], outcome)


class Joined:
    """A program that has joined a lockspace at a node, as users of liblock do."""

    def __init__(self, cluster, node, lockspace):
        class Options(ctypes.Structure):
            _fields_ = [("size", ctypes.c_size_t), ("socket_path", ctypes.c_char_p), ("command", ctypes.c_char_p),
                        ("answer_timeout_ms", ctypes.c_int), ("query_only", ctypes.c_int), ("quorum_now", ctypes.c_int)]
        self.library = ctypes.CDLL(LIBLOCK)
        self.client = ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), cluster.socket(node).encode(), b"joined", 1000 * DEADLINE, 0, 0)
        check(self.library.lock_connect(ctypes.byref(options), ctypes.byref(self.client)) == 0, "it connects")
        check(self.library.lock_join_lockspace(self.client, lockspace.encode(), 1, 0) == 0, "it joins")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.lock_close(self.client)


def all_nodes_of_a_lockspace():
    with h.Cluster(3) as cluster:
        dynamic = ("b", "-p", "all", "--nodes", "--lockspace", "web")
        with Joined(cluster, 1, "web"):
            fails(cluster.lockctl(2, "barrier", *dynamic), 64, "joined the lockspace")
            with Joined(cluster, 2, "web"), Job(cluster, 1, *dynamic) as first:
                wait_for_arrivals(cluster, "b", 1)
                # Who joins is waited for from then on.
                with Joined(cluster, 3, "web"), Job(cluster, 2, *dynamic) as second:
                    wait_for_arrivals(cluster, "b", 2)
                    with Job(cluster, 3, *dynamic) as third:
                        outcome = told_the_same([job.outcome() for job in (first, second, third)])
        check(outcome["membership"] is not None and len(outcome["members"]) == 3, outcome)


if __name__ == "__main__":
    h.main([three_jobs_go_on_together, who_waits_too_long, a_signal_takes_a_job_back, a_death_is_told_to_the_others,
            the_death_of_a_daemon_is_told, a_restart_of_a_daemon_is_waited_for, without_a_daemon_or_a_quorum,
            operators_end_barriers, barriers_are_listed, nodes_are_counted_once, all_nodes_of_a_lockspace])
