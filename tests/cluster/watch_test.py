#!/usr/bin/env python3
"""lockctl watch, and lockctl ls --lockspaces, against real daemons.

  watch_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import contextlib
import json
import queue
import struct
import subprocess
import threading

import bad_input_harness as h
from bad_input_harness import LOCKCTL, check, wait_until

JOIN, LEAVE = 20, 21
DONE = 15


class Watcher:
    """lockctl watch in the background; its lines come as they are printed."""

    def __init__(self, cluster, node, *arguments):
        self.process = subprocess.Popen([LOCKCTL, "--socket", cluster.socket(node), "watch", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def next(self):
        line = self.lines.get(timeout=h.DEADLINE)
        check(line.endswith("\n"), f"a whole line: {line!r}")
        return json.loads(line)

    def until(self, event, **fields):
        """The next event of this type that has these fields, and the types of those before it."""
        before = []
        while True:
            one = self.next()
            if one["event"] == event and all(one[name] == value for name, value in fields.items()):
                return one, before
            before.append(one["event"])

    def __enter__(self):
        check(self.next() == {"event": "resync"}, "the stream begins")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        self.process.stderr.close()


def succeeds(ended):
    check(ended.returncode == 0, f"it succeeds: {ended}")
    return ended.stdout


def run(cluster, node, name, *options):
    return cluster.lockctl(node, "run", *options, name, "--", "true")


def what_happens_to_a_lock():
    with h.Cluster(3) as cluster, Watcher(cluster, 2) as watcher:
        quorum = watcher.next()
        check(quorum["event"] == "quorum" and quorum["primary"] and quorum["votes"] >= quorum["quorum"], f"{quorum}")
        with h.holder(cluster, 1, "jobs"):
            opened, _ = watcher.until("session", change="opened")
            check(opened["node"] == 1 and "run jobs" in opened["command"] or "cat" in opened["command"], f"{opened}")
            granted = watcher.next()
            shown = json.loads(succeeds(cluster.lockctl(3, "--json", "show", "jobs")))["holders"][0]
            check(granted["event"] == "granted" and granted["lockspace"] == "default", f"{granted}")
            for name in ("mode", "token", "session", "request", "node", "pid", "uid", "command"):
                check(granted[name] == shown[name], f"{name}: {granted}, {shown}")
            check(granted["time"] == shown["since"], f"its time: {granted}, {shown}")
            check(run(cluster, 3, "jobs", "-n").returncode == 75, "busy")
            denied, _ = watcher.until("denied")
            check((denied["name"], denied["wants"], denied["reason"], denied["token"]) == ("jobs", "EX", "busy", None),
                  f"{denied}")
            check(run(cluster, 3, "jobs", "--wait", "100ms").returncode == 75, "waited in vain")
            waits, _ = watcher.until("waits")
            check((waits["wants"], waits["mode"], waits["node"]) == ("EX", None, 3), f"{waits}")
            cancelled, _ = watcher.until("cancelled")
            check(cancelled["reason"] in ("cancelled", "timed out"), f"{cancelled}")
        released, _ = watcher.until("released")
        check(released["token"] == granted["token"] and released["command"] == granted["command"], f"{released}")
        watcher.until("session", change="closed", session=granted["session"])


def filters():
    with h.Cluster(1) as cluster, contextlib.ExitStack() as stack:
        def watch(*arguments):
            return stack.enter_context(Watcher(cluster, 1, *arguments))

        exact = watch("--name", "db/a", "--type", "granted,released")
        prefix = watch("--prefix", "db/", "--type", "granted", "--type", "released")
        space = watch("--lockspace", "web", "--type", "granted,released")
        few = watch("--type", "granted", "--count", "2")
        for name in ("other", "db/a", "db/ab"):
            succeeds(run(cluster, 1, name))
        succeeds(cluster.lockctl(1, "run", "--lockspace", "web", "db/a", "--", "true"))

        def told(watcher, count):
            events = [watcher.next() for _ in range(count)]
            return [(event["event"], event["lockspace"], event["name"]) for event in events]

        pairs = [(event, "default", name) for name in ("db/a", "db/ab") for event in ("granted", "released")]
        web = [(event, "web", "db/a") for event in ("granted", "released")]
        check(told(exact, 4) == pairs[:2] + web, "one name, in all lockspaces")
        check(told(prefix, 6) == pairs + web, "names that begin so")
        check(told(space, 2) == web, "one lockspace")
        # The line that begins the stream is one of them.
        check(told(few, 1) == [("granted", "default", "other")] and few.process.wait(h.DEADLINE) == 0, "so many events")


def what_happens_to_daemons():
    with h.Cluster(3) as cluster, Watcher(cluster, 1) as watcher:
        with contextlib.suppress(AssertionError), h.holder(cluster, 3, "jobs"):
            granted, _ = watcher.until("granted")
            cluster.tool("kill", cluster.folder, "3")
            gone, _ = watcher.until("configuration", kind="transitional")
            check(gone["left"] == [3] and gone["members"] == [1, 2], f"{gone}")
            orphaned, before = watcher.until("session", change="orphaned")
            check("configuration" in before and orphaned["session"] == granted["session"], f"{before} {orphaned}")
            watcher.until("quorum", primary=True)
            released, before = watcher.until("released", token=granted["token"])
            check(released["node"] == 3 and "session" in before, f"{released} {before}")
        # Itself gone and back.
        cluster.tool("kill", cluster.folder, "1")
        cluster.tool("start", cluster.folder, "1")
        _, before = watcher.until("resync")
        watcher.until("quorum", primary=True)
        succeeds(run(cluster, 2, "again"))
        watcher.until("granted", name="again")


def without_a_majority():
    with h.Cluster(3) as cluster, Watcher(cluster, 1, "--type", "quorum") as watcher:
        check(watcher.next()["primary"], "well")
        for node in (2, 3):
            cluster.tool("kill", cluster.folder, str(node))
        lost, _ = watcher.until("quorum", primary=False)
        check(lost["state"] != "active", f"{lost}")
        with Watcher(cluster, 1) as other:
            check(not other.until("quorum")[0]["primary"], "a new one hears that at once")


def a_watcher_that_does_not_read():
    with h.Cluster(1) as cluster, h.holder(cluster, 1, "precious"), Watcher(cluster, 1, "--type", "granted") as reader:
        before = cluster.resident_kib(1)
        # Stopped, it reads nothing: neither its pipe nor its socket.
        deaf = subprocess.Popen([LOCKCTL, "--socket", cluster.socket(1), "watch"], stdout=subprocess.PIPE, text=True)
        try:
            check(json.loads(deaf.stdout.readline()) == {"event": "resync"}, "it watches")
            with h.session(cluster, 1) as client:
                request = 0
                while cluster.counter(1, "watch_events_lost") == 0:
                    for _ in range(500):
                        client.send(h.acquire(request + 1, b"x" * 200, acknowledged=request))
                        _, answer, token, _ = client.read_reply()
                        check(answer == h.GRANTED, "others are served meanwhile")
                        client.send(h.release(request + 2, request + 1, token, acknowledged=request + 1))
                        check(client.read_reply()[1] == h.RELEASED, "and give back")
                        request += 2
            check(cluster.resident_kib(1) - before < 16 * 1024, "the daemon keeps little for it")
            lost = next(json.loads(line) for line in deaf.stdout if '"lost"' in line)
            check(lost["count"] > 0 and set(lost) == {"event", "count"}, f"{lost}")
            succeeds(run(cluster, 1, "after"))
            next(line for line in deaf.stdout if '"after"' in line)
        finally:
            deaf.kill()
            deaf.wait()
            deaf.stdout.close()
        names = {reader.until("granted")[0]["name"] for _ in range(request // 2)}
        check(names == {"x" * 200}, "who reads is told all")


def exit_codes():
    with h.Cluster(1) as cluster, contextlib.ExitStack() as stack:
        missing = h.run(LOCKCTL, "--socket", "/nonexistent/lockd.sock", "watch")
        check(missing.returncode == 69 and "/nonexistent/lockd.sock" in missing.stderr, f"no daemon: {missing}")
        for wrong in (["--type", "nothing"], ["--name", ""], ["--name", "a", "--prefix", "b"], ["--count", "0"], ["a"]):
            check(cluster.lockctl(1, "watch", *wrong).returncode == 64, f"usage: {wrong}")
        for query in range(64):
            watcher = stack.enter_context(h.Connection(cluster.socket(1)))
            watcher.send(h.hello(h.QUERY) + h.watch(query))
            watcher.read_until(h.WELCOME)
            watcher.read()
        check(cluster.counter(1, "watchers") == 64, "they are counted")
        full = cluster.lockctl(1, "watch")
        check(full.returncode == 69 and "watchers" in full.stderr, f"one too many: {full}")


def lockspaces():
    with h.Cluster(3) as cluster, contextlib.ExitStack() as stack:
        def ask(node, *options):
            return json.loads(succeeds(cluster.lockctl(node, "--json", "ls", "--lockspaces", *options)))

        def say(session, kind, request, rest):
            session.send(h.frame(kind, struct.pack("<QQ", request, request - 1) + h.STAMP + rest))
            while True:
                message = session.read()
                check(message is not None, "the daemon goes on")
                if message[0] == h.REPLY:
                    return struct.unpack_from("<QB", message[1])[1]

        check(ask(1) == {"lockspaces": [], "stale": False}, "nobody has joined one")
        watcher = stack.enter_context(Watcher(cluster, 1, "--type", "lockspace", "--lockspace", "web"))
        join = struct.pack("<BH", 1, 0o640) + h.text(b"web")
        sessions = {node: stack.enter_context(h.session(cluster, node)) for node in (2, 3)}
        for members, node in enumerate((2, 3), start=1):
            check(say(sessions[node], JOIN, 1, join) == DONE, "joined")
            event = watcher.next()
            check(event["event"] == "lockspace" and len(event["members"]) == members, f"{event}")
        check(say(sessions[2], JOIN, 2, struct.pack("<BH", 1, 0) + h.text(b"other")) == DONE, "another one")
        for node in (1, 2, 3):
            shown = ask(node)["lockspaces"]
            check([space["name"] for space in shown] == ["other", "web"], f"by name: {shown}")
            web = shown[1]
            check(web["members"] == [{"node": 2, "slot": 1}, {"node": 3, "slot": 2}], f"{web}")
            check(web["recovered"] and web["failed"] == [] and web["generation"] == 2, f"{web}")
        text = succeeds(cluster.lockctl(1, "ls", "--lockspaces"))
        check("web" in text and "2:1" in text and "3:2" in text and "rw-r-----" in text, text)
        cluster.tool("kill", cluster.folder, "3")
        failed = watcher.next()
        check(failed["failed"] == [{"node": 3, "slot": 2}] and not failed["recovered"], f"{failed}")
        recovered = watcher.next()
        check(recovered["failed"] == [] and recovered["recovered"], f"{recovered}")
        wait_until(lambda: ask(1)["lockspaces"][1]["members"] == [{"node": 2, "slot": 1}], "and so it is shown")
        check(say(sessions[2], LEAVE, 3, b"\0" + h.text(b"web")) == DONE, "left")
        check(watcher.next()["members"] == [], "the last one has left")
        check([space["name"] for space in ask(1)["lockspaces"]] == ["other"], "and it is gone")
        cluster.tool("kill", cluster.folder, "2")
        wait_until(lambda: ask(1)["stale"], "without a majority it is what was known last")


h.main([what_happens_to_a_lock, filters, what_happens_to_daemons, without_a_majority, a_watcher_that_does_not_read,
        exit_codes, lockspaces])
