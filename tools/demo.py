#!/usr/bin/env python3
"""Shows a cluster lock at work while a daemon is killed; started by tools/demo, which builds first.

Programs on three daemons add 1 to the number in a shared file, each time under the cluster lock "counter". One of them
keeps the lock, others queue, and its daemon is killed. The last line has the outcome; exit code 0 only if not one
increment was lost, no two programs ever believed to hold the lock at once, and the fencing tokens only grew.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.environ.get("RINGLOCK_BUILD") or os.path.join(ROOT, "build")
LOCKCTL = os.path.join(BUILD, "tools", "lockctl")
CLIENT = os.path.join(BUILD, "tools", "demo_client")
CLUSTER = os.path.join(ROOT, "tools", "cluster")

NODES = 3
CLIENTS_OF_NODE = 3
LOOPS = 600
VICTIM = 3  # The node whose daemon is killed.
LINGER_AT = 120  # The loop in which the victim's first client keeps the lock.
DEADLINE_SECONDS = 120
SHOW_SECONDS = 1.0
POLL_SECONDS = 0.05


class Failure(Exception):
    """The demonstration did not go as it must."""


class Story:
    """Prints what happens, with the time since the start."""

    def __init__(self):
        self.start = time.clock_gettime(time.CLOCK_BOOTTIME)

    def tell(self, text):
        print(f"{time.clock_gettime(time.CLOCK_BOOTTIME) - self.start:6.2f} s  {text}", flush=True)

    def at(self, nanoseconds):
        return f"{nanoseconds / 1e9 - self.start:.3f} s"


class Client:
    """One program: a process that increments, and the record of its turns."""

    def __init__(self, folder, number, node):
        self.number = number
        self.node = node
        self.record = os.path.join(folder, f"client{number}.record")
        self.holding = threading.Event()
        linger = LINGER_AT if node == VICTIM and number % CLIENTS_OF_NODE == 0 else 0
        self.lingers = linger > 0
        self.process = subprocess.Popen(
            [CLIENT, os.path.join(folder, f"{node}.sock"), os.path.join(folder, "shared"), self.record, str(LOOPS),
             str(linger)], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            if line.startswith("holding"):
                self.holding.set()

    def name(self):
        return f"program {self.number} on node {self.node}"

    def turns(self):
        with open(self.record, encoding="ascii") as file:
            return [Turn(self, *map(int, line.split())) for line in file]


class Turn:
    """From when to when a program believed to hold the lock; times of CLOCK_BOOTTIME, the same for all processes."""

    def __init__(self, client, granted, deadline, end, token, lost, written):
        self.client = client
        self.granted = granted
        self.deadline = deadline
        self.end = end
        self.token = token
        self.lost = bool(lost)
        self.written = bool(written)


def shared_number(folder):
    with open(os.path.join(folder, "shared"), encoding="ascii") as file:
        return int(file.read().split()[0])


def ask(folder, node, *question):
    """An answer of lockctl, or None if that daemon does not give one."""
    answer = subprocess.run([LOCKCTL, "--json", "--socket", os.path.join(folder, f"{node}.sock"), *question],
                            capture_output=True)
    return json.loads(answer.stdout) if answer.returncode == 0 else None


def queue(folder, node):
    """Who holds the lock and who waits, as one daemon sees it: ([node...], [node...])."""
    shown = ask(folder, node, "show", "counter")
    if shown is None:
        return [], []
    return [lock["node"] for lock in shown["holders"]], [lock["node"] for lock in shown["waiters"]]


class Demonstration:
    def __init__(self, folder):
        self.folder = folder
        self.story = Story()
        self.clients = []
        self.expected = NODES * CLIENTS_OF_NODE * LOOPS
        self.deadline = time.monotonic() + DEADLINE_SECONDS
        self.shown = 0.0

    def cluster(self, *arguments):
        if subprocess.run([CLUSTER, *arguments], env={**os.environ, "RINGLOCK_BUILD": BUILD}).returncode != 0:
            raise Failure("tools/cluster " + " ".join(arguments) + " failed")

    def wait_until(self, condition, what):
        """Waits, and shows how it goes meanwhile."""
        while not condition():
            for client in self.clients:
                if client.process.poll() not in (None, 0):
                    raise Failure(f"{client.name()} failed")
            if time.monotonic() > self.deadline:
                raise Failure(f"{what} did not happen in time")
            if time.monotonic() - self.shown > SHOW_SECONDS:
                self.show()
            time.sleep(POLL_SECONDS)

    def show(self):
        self.shown = time.monotonic()
        holders, waiters = queue(self.folder, 1)
        done = shared_number(self.folder)
        bar = "#" * (30 * done // self.expected)
        held = "free" if not holders else f"held on node {holders[0]}" if holders[0] else "held back"
        queued = ", ".join(map(str, waiters)) or "nobody"
        self.story.tell(f"[{bar:30}] {done:4} of {self.expected}; the lock is {held}, waiting on nodes: {queued}")

    def run(self):
        tell = self.story.tell
        tell(f"starting {NODES} daemons")
        self.cluster("up", str(NODES), os.path.join(self.folder))
        members = ask(self.folder, 1, "members")["members"]
        tell("they form a ring: " + ", ".join(f"node {m['node']} at {m['address']}" for m in members))

        with open(os.path.join(self.folder, "shared"), "w", encoding="ascii") as file:
            file.write(f"{0:020} {0:020}\n")
        self.clients = [Client(self.folder, number, 1 + number // CLIENTS_OF_NODE)
                        for number in range(NODES * CLIENTS_OF_NODE)]
        tell(f"{len(self.clients)} programs, {CLIENTS_OF_NODE} on each node, add 1 to a shared file {LOOPS} times "
             f"each: expected {self.expected}")

        holder = next(client for client in self.clients if client.lingers)
        self.wait_until(holder.holding.is_set, f"{holder.name()} holding the lock")
        self.wait_until(lambda: queue(self.folder, VICTIM)[1], "a queue")
        holders, waiters = queue(self.folder, VICTIM)
        tell(f"{holder.name()} keeps the lock; {len(waiters)} programs wait for it, on nodes "
             + ", ".join(map(str, waiters)))

        self.cluster("kill", self.folder, str(VICTIM))
        tell(f"killed the daemon of node {VICTIM} (SIGKILL): its programs live, and nobody can tell them anything")
        before = shared_number(self.folder)
        killed = time.monotonic()
        self.wait_until(lambda: shared_number(self.folder) > before, "the survivors going on")
        tell(f"the survivors go on, {time.monotonic() - killed:.1f} s after the kill: "
             "the lease of the lost holder had to run out first")

        self.cluster("start", self.folder, str(VICTIM))
        tell(f"started the daemon of node {VICTIM} again; its programs reconnect and finish their share")
        self.wait_until(lambda: all(client.process.poll() == 0 for client in self.clients), "the end")
        self.show()
        return self.judge()

    def judge(self):
        """The outcome, from the file and from the programs' records."""
        turns = sorted((turn for client in self.clients for turn in client.turns()), key=lambda turn: turn.granted)
        takeovers = overlaps = regressions = 0
        believed_until = 0
        for before, after in zip(turns, turns[1:]):
            believed_until = max(believed_until, before.end)
            overlaps += after.granted < believed_until
            regressions += after.token <= before.token
            if before.lost and after.client is not before.client:
                takeovers += 1
                self.story.tell(f"{before.client.name()} believed until {self.story.at(before.end)} that it held the "
                                f"lock, with token {before.token};")
                self.story.tell(f"{after.client.name()} was granted it at {self.story.at(after.granted)}, "
                                f"{(after.granted - before.end) / 1e6:.0f} ms later, with token {after.token}")
        increments = shared_number(self.folder)
        written = sum(turn.written for turn in turns)
        right = (increments == self.expected == written and takeovers >= 1 and overlaps == 0 and regressions == 0)
        self.story.tell(f"{len(turns)} turns recorded, {written} of them wrote")
        print(f"RESULT increments={increments} expected={self.expected} takeovers={takeovers} overlaps={overlaps} "
              f"token_regressions={regressions}", flush=True)
        return right

    def end(self):
        for client in self.clients:
            if client.process.poll() is None:
                client.process.kill()
            client.process.wait()
        if os.path.exists(os.path.join(self.folder, "1.toml")):
            self.cluster("down", self.folder)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # So that nothing is left running.
    folder = tempfile.mkdtemp(prefix="ringlock-demo.")
    demonstration = Demonstration(folder)
    right = False
    try:
        right = demonstration.run()
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
    finally:
        demonstration.end()
        if right:
            shutil.rmtree(folder)
        else:
            print(f"demo: logs and records are in {folder}", file=sys.stderr)
    return 0 if right else 1


sys.exit(main())
