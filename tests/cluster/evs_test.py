#!/usr/bin/env python3
"""Groups over real daemons, by lockctl: one order everywhere, configurations told, with a quorum and without, and what
becomes of who does not read."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time

import bad_input_harness as h
from bad_input_harness import LOCKCTL, Cluster, check, wait_until


class Joiner:
    """lockctl evs join, and the events that it has printed so far."""

    def __init__(self, cluster, node, *arguments):
        self.process = subprocess.Popen(
            [LOCKCTL, "--json", "--socket", cluster.socket(node), "evs", "join", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.events = []
        self.arriving = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.arriving.put(json.loads(line))

    def wait_for(self, what, done):
        """The first event that is so."""
        end = time.monotonic() + h.DEADLINE
        while True:
            for event in self.events:
                if done(event):
                    return event
            try:
                self.events.append(self.arriving.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"deadline: {what}; the last events were {self.events[-3:]}") from None

    def wait_for_message(self, text):
        return self.wait_for(text, lambda event: event.get("message") == text)

    def wait_for_configuration(self, kind, nodes):
        return self.wait_for(f"{kind} {nodes}", lambda event: event["type"] == "configuration"
                             and event["kind"] == kind and nodes_of(event["members"]) == nodes)

    def messages(self):
        return [event for event in self.events if event["type"] == "message"]

    def ended(self):
        """Exit code and last words, once everything was read."""
        code = self.process.wait(timeout=h.DEADLINE)
        self.reader.join(timeout=h.DEADLINE)
        while not self.arriving.empty():
            self.events.append(self.arriving.get())
        return code, self.process.stderr.read()


def nodes_of(processors):
    return [processor["node"] for processor in processors]


@contextlib.contextmanager
def joined(cluster, *nodes, groups=("chat",)):
    joiners = []
    try:
        for node in nodes:
            joiners.append(Joiner(cluster, node, *groups))
        # It is printed when the groups are joined.
        for joiner in joiners:
            joiner.wait_for("the first configuration", lambda event: event["type"] == "configuration")
        yield joiners
    finally:
        for joiner in joiners:
            joiner.process.kill()
            joiner.process.wait()
            joiner.reader.join(timeout=h.DEADLINE)
            joiner.process.stdout.close()
            joiner.process.stderr.close()


def send(cluster, node, *messages, groups=("chat",), guarantee="agreed"):
    text = "".join(message + "\n" for message in messages)
    ended = cluster.lockctl(node, "evs", "send", "-g", guarantee, *groups, input=text)
    check(ended.returncode == 0, f"evs send: {ended}")


def one_order_everywhere():
    with Cluster(3) as cluster, joined(cluster, 1, 2, 3) as joiners:
        for joiner in joiners:
            check(nodes_of(joiner.events[0]["members"]) == [1, 2, 3], f"the first event: {joiner.events[0]}")
        senders = []
        for node in (1, 2, 3):
            guarantee = ("safe", "agreed", "fifo")[node - 1]
            messages = [f"{node} says {number}" for number in range(300)] + [f"last of {node}"]
            senders.append(threading.Thread(target=send, args=(cluster, node, *messages), kwargs={"guarantee": guarantee}))
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        for joiner in joiners:
            for node in (1, 2, 3):
                joiner.wait_for_message(f"last of {node}")
        heard = [[(m["sender"]["node"], m["sequence"], m["index"], m["guarantee"], m["message"])
                  for m in joiner.messages()] for joiner in joiners]
        check(len(heard[0]) == 903, f"{len(heard[0])} messages")
        check(heard[0] == heard[1] == heard[2], "the order differs")
        check(heard[0] == sorted(heard[0], key=lambda m: (m[1], m[2])), "places do not grow")
        check({m[:1] + m[3:4] for m in heard[0]} == {(1, "safe"), (2, "agreed"), (3, "fifo")}, "sender and guarantee")
        for node in (1, 2, 3):
            own = [m[4] for m in heard[0] if m[0] == node and "says" in m[4]]
            check(own == [f"{node} says {number}" for number in range(300)], "not as it was sent")


def configurations_are_told_and_groups_need_no_quorum():
    with Cluster(3) as cluster, joined(cluster, 1) as (one,):
        first = one.events[0]
        for node in (2, 3):
            cluster.tool("kill", cluster.folder, str(node))
        alone = one.wait_for_configuration("regular", [1])
        transitional = [event for event in one.events if event.get("kind") == "transitional"]
        check(sorted(sum((nodes_of(event["left"]) for event in transitional), [])) == [2, 3], f"left: {transitional}")
        check(all(event["joined"] == [] for event in transitional), f"{transitional}")
        check(alone["ring"] != first["ring"] and alone["left"] == [], f"{alone}")
        check(cluster.lockctl(1, "run", "-n", "a", "--", "true").returncode == 69, "no locks without a quorum")
        send(cluster, 1, "in a minority", guarantee="safe")
        check(one.wait_for_message("in a minority")["ring"] == alone["ring"], "the ring of the message")

        cluster.tool("start", cluster.folder, "2")
        together = one.wait_for("the merge", lambda event: event.get("kind") == "regular"
                                and nodes_of(event["joined"]) == [2])
        check(nodes_of(together["members"]) == [1, 2], f"{together}")
        old = next(p["incarnation"] for p in first["members"] if p["node"] == 2)
        check(together["members"][1]["incarnation"] != old, "a restarted node is another processor")
        send(cluster, 2, "from the restarted one")
        one.wait_for_message("from the restarted one")
        members = json.loads(cluster.lockctl(2, "--json", "evs", "members").stdout)
        check(members["ring"] == together["ring"] and members["members"] == together["members"], f"{members}")
        check(members["self"] == together["members"][1], f"{members}")


def only_who_joined_and_once():
    with Cluster(1) as cluster, joined(cluster, 1, groups=("a", "b")) as (both,), joined(cluster, 1, groups=("b",)) as (b,):
        send(cluster, 1, "to a", groups=("a",))
        send(cluster, 1, "to c", groups=("c",))
        send(cluster, 1, "to all", groups=("a", "b", "c"))
        both.wait_for_message("to all")
        b.wait_for_message("to all")
        check([m["message"] for m in both.messages()] == ["to a", "to all"], "both")
        check([m["message"] for m in b.messages()] == ["to all"], "b")
        check(both.messages()[-1]["groups"] == ["a", "b", "c"], "the groups of a message")


def long_messages_and_slow_readers():
    with Cluster(2) as cluster, joined(cluster, 1, 2) as (slow, quick):
        longest = "x" * (1024 * 1024 - 2)
        slow.process.send_signal(signal.SIGSTOP)
        for number in range(12):
            send(cluster, 2, f"{number:02}" + longest)
        for number in range(12):
            quick.wait_for_message(f"{number:02}" + longest)
        wait_until(lambda: cluster.counter(1, "clients_slow") == 1, "the daemon gives the slow one up")
        send(cluster, 1, "the others go on")
        quick.wait_for_message("the others go on")
        slow.process.send_signal(signal.SIGCONT)
        code, words = slow.ended()
        check(code == 69 and "faster than this program" in words, f"{code} {words[:300]}")
        heard = [m["message"][:2] for m in slow.messages()]
        check(heard == [f"{number:02}" for number in range(len(heard))] and 0 < len(heard) < 12, f"a hole in {heard}")
        check(all(len(m["message"]) == 1024 * 1024 for m in slow.messages()), "cut")
        ended = cluster.lockctl(1, "evs", "send", "chat", input="y" * (1024 * 1024 + 1))
        check(ended.returncode == 64, f"too long: {ended}")
        cluster.check_well()


def ends_and_exit_codes():
    with Cluster(1) as cluster:
        with joined(cluster, 1) as (joiner,):
            cluster.tool("kill", cluster.folder, "1")
            code, words = joiner.ended()
            check(code == 69, f"the daemon is gone: {code} {words}")
        cluster.tool("start", cluster.folder, "1")
        wait_until(lambda: cluster.lockctl(1, "evs", "members").returncode == 0, "it is back")
        counted = Joiner(cluster, 1, "-c", "2", "chat")

        def over():
            send(cluster, 1, "tick")
            return counted.process.poll() is not None
        wait_until(over, "--count")
        code, words = counted.ended()
        check(code == 0 and len(counted.messages()) == 2, f"--count: {code} {words} {counted.events}")
        for arguments in (["join"], ["join", "x" * 33], ["send", ""], ["send", "-g", "none", "a"], ["join", "-c", "0", "a"], []):
            check(cluster.lockctl(1, "evs", *arguments).returncode == 64, f"64 usage: {arguments}")
        check(cluster.lockctl(1, "evs", "send", "a", "-m", "one", "-m", "two").returncode == 0, "-m")
    for arguments in (["join", "a"], ["send", "a", "-m", "x"], ["members"]):
        ended = h.run(LOCKCTL, "--socket", "/nonexistent/socket", "evs", *arguments)
        check(ended.returncode == 69 and "/nonexistent/socket" in ended.stderr, f"69 no daemon: {ended}")


def programs():
    """The library's own interfaces."""
    with Cluster(2) as cluster:
        for program in ("evs_api", "evs_compat"):
            ended = h.run(os.path.join(h.BUILD, "tests", "cluster", program),
                          env={**os.environ, "LOCKD_SOCKET": cluster.socket(1)})
            check(ended.returncode == 0, f"{program}: {ended}")
        cluster.check_well()


def a_program_of_old_sees_changes_as_it_always_did():
    with Cluster(2) as cluster:
        watch = subprocess.Popen([os.path.join(h.BUILD, "tests", "cluster", "evs_compat"), "watch"], text=True,
                                 stdout=subprocess.PIPE, env={**os.environ, "LOCKD_SOCKET": cluster.socket(1)})
        try:
            check(watch.stdout.readline() == " members 1 2 left joined\n", "the initial configuration")
            cluster.tool("kill", cluster.folder, "2")
            check(watch.stdout.readline() == " members 1 left 2 joined\n", "first who goes on")
            check(watch.stdout.readline() == " members 1 left joined\n", "then who is there")
            cluster.tool("start", cluster.folder, "2")
            check(watch.stdout.readline() == " members 1 left joined\n", "first who goes on")
            check(watch.stdout.readline() == " members 1 2 left joined 2\n", "then who is there")
            send(cluster, 2, "hello, old one", groups=("old",))
            check(watch.stdout.readline() == "message of 2: hello, old one\n", "a message")
            check(watch.wait(timeout=h.DEADLINE) == 0, "the end")
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()


def killed_clients_leave_nothing():
    with Cluster(1) as cluster:
        for _ in range(60):  # More than there may be instances at a time.
            with joined(cluster, 1):
                pass
        wait_until(lambda: cluster.counter(1, "evs_instances") == 0, "all are gone")
        cluster.check_well()


h.main([one_order_everywhere, configurations_are_told_and_groups_need_no_quorum, only_who_joined_and_once,
        long_messages_and_slow_readers, ends_and_exit_codes, programs,
        a_program_of_old_sees_changes_as_it_always_did, killed_clients_leave_nothing])
