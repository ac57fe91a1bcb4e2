"""Ringlock with many locks held: what one costs on each node, and how long somebody else waits when nodes die and come
back. For tests/bench/locks_vs_peers."""

import collections
import contextlib
import os
import subprocess
import tempfile
import threading
import time

from lock_figures import first_after, longest
from lock_peers import DirectRinglock
from nodes import Failure, wait_until
from process_usage import resident_megabytes

NODES = 3
WATCHES, HOLDS, OTHER = 1, 2, 3  # The nodes of who watches, of who holds, and of nobody.
SESSIONS = 32
CALM_SECONDS = 2  # Before each fault, and after its last consequence.
TAKE_SECONDS = 600
GAP_US = 2000
# So soon after a fault the wait has begun that it makes: what was under way is granted still. Before the next fault the
# time that is looked at ends so early.
FAULT_NS = 50_000_000

# bytes_per_lock: of memory, by node. lost: locks that programs have lost whose node had not been killed. waits: the
# watcher's longest, in ms, by what happened. In one cluster: `calm`, nothing; `kill`, a node with none of the locks;
# `load`, it comes back and gets the table. In another: `kill_holder`, the node with all of them and their program,
# until the watcher is served again; `expire`, from then until all sessions are over; `back`, that node again.
Held = collections.namedtuple("Held", "locks bytes_per_lock take_seconds load_seconds expire_seconds waits lost")


def nanoseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Load:
    """A lock_load as a child, and the lines that it says."""

    def __init__(self, build, *words):
        self.process = subprocess.Popen([os.path.join(build, "tests", "bench", "lock_load"), *map(str, words)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.append(line.split())

    def wait_for(self, word, seconds):
        """The first line that begins with this word."""
        def said():
            if self.process.poll() is not None:
                raise Failure(f"lock_load ended with {self.process.returncode} before it said {word}")
            return any(line[0] == word for line in self.lines)
        wait_until(said, f"lock_load's word {word}", seconds)
        return next(line for line in self.lines if line[0] == word)

    def ask(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()

    def finish(self):
        """Its lines, after it was told that it is enough."""
        self.process.stdin.close()
        self.process.wait(TAKE_SECONDS)
        self.listener.join()
        if self.process.returncode != 0:
            raise Failure(f"lock_load ended with {self.process.returncode}")
        return self.lines

    def kill(self):
        self.process.kill()
        self.process.wait()


def resident(nodes):
    return {node: resident_megabytes(nodes.processes[node].pid) * 2**20 for node in nodes.ids}


def measure(build, locks, scratch):
    """Held, of clusters of their own in folders below `scratch`."""
    with Cluster(build, locks, scratch) as cluster:
        cluster.fill()
        spared = cluster.without_the_holder()
    with Cluster(build, locks, scratch) as cluster:
        cluster.fill()
        hit = cluster.with_the_holder()
    return Held(locks, spared["bytes_per_lock"], spared["take_seconds"], spared["load_seconds"], hit["expire_seconds"],
                {**spared["waits"], **hit["waits"]}, spared["lost"])


class Cluster:
    """Three daemons, a program that holds locks, and one that watches. To be used as a context."""

    def __init__(self, build, locks, scratch):
        self.build = build
        self.locks = locks
        self.scratch = scratch
        self.open = contextlib.ExitStack()
        self.nodes = self.holder = self.watcher = None
        self.before = self.take_seconds = None

    def __enter__(self):
        with contextlib.ExitStack() as opened:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="ringlock-held-", dir=self.scratch))
            self.nodes = opened.enter_context(DirectRinglock(self.build, folder, NODES, "default", 1))
            self.open = opened.pop_all()
        return self

    def __exit__(self, *_):
        self.open.close()

    def load(self, *words):
        load = Load(self.build, *words)
        self.open.callback(load.kill)
        return load

    def fill(self):
        """Returns when all locks are held, and somebody watches."""
        self.before = resident(self.nodes)
        start = time.monotonic()
        self.holder = self.load("hold", self.nodes.address(HOLDS), self.locks, SESSIONS)
        self.holder.wait_for("held", TAKE_SECONDS)
        self.take_seconds = time.monotonic() - start
        self.watcher = self.load("watch", self.nodes.address(WATCHES), GAP_US)
        self.watcher.wait_for("granted", TAKE_SECONDS)

    def gaps(self):
        """[(from, to)] of the watcher, which has seen enough."""
        return [(int(words[1]), int(words[2])) for words in self.watcher.finish() if words[0] == "gap"]

    def without_the_holder(self):
        calm = nanoseconds()
        time.sleep(CALM_SECONDS)
        after = resident(self.nodes)
        killed = nanoseconds()
        self.nodes.kill(OTHER)
        wait_until(lambda: members(self.nodes) == NODES - 1, "a ring without the dead node")
        time.sleep(CALM_SECONDS)
        came = nanoseconds()
        load_seconds = come_back(self.nodes, OTHER)
        time.sleep(CALM_SECONDS)
        self.holder.ask()
        lost = int(self.holder.wait_for("lost", TAKE_SECONDS)[1])
        gaps = self.gaps()
        return {"bytes_per_lock": {node: (after[node] - self.before[node]) / self.locks for node in self.nodes.ids},
                "take_seconds": self.take_seconds, "load_seconds": load_seconds, "lost": lost,
                "waits": {"calm": longest(gaps, calm, killed - FAULT_NS),
                          "kill": longest(gaps, killed, came - FAULT_NS),
                          "load": longest(gaps, came, nanoseconds())}}

    def with_the_holder(self):
        time.sleep(CALM_SECONDS)
        killed = nanoseconds()
        self.nodes.kill(HOLDS)
        self.holder.kill()
        wait_until(lambda: members(self.nodes) == NODES - 1, "a ring without the dead node")
        # The watcher may have its lock.
        wait_until(lambda: status(self.nodes)["locks"] <= 1, "the end of the dead sessions", TAKE_SECONDS)
        expire_seconds = (nanoseconds() - killed) / 1e9
        time.sleep(CALM_SECONDS)
        came = nanoseconds()
        come_back(self.nodes, HOLDS)
        time.sleep(CALM_SECONDS)
        gaps = self.gaps()
        missed = first_after(gaps, killed, FAULT_NS)
        if missed is None:
            raise Failure("the dead node was not missed")
        return {"expire_seconds": expire_seconds,
                "waits": {"kill_holder": (missed[1] - missed[0]) / 1e6,
                          "expire": longest(gaps, missed[1], came - FAULT_NS),
                          "back": longest(gaps, came, nanoseconds())}}


def status(nodes):
    answer = nodes.ask(WATCHES, "status")
    if answer is None:
        raise Failure("a survivor does not answer")
    return answer


def members(nodes):
    """How many have the table, as a survivor says."""
    return status(nodes)["holders"]


def come_back(nodes, node):
    """Seconds until the node has the table and serves."""
    start = time.monotonic()
    nodes.start(node)
    wait_until(lambda: nodes.answers(node) and members(nodes) == NODES, "the return of a node", TAKE_SECONDS)
    return time.monotonic() - start
