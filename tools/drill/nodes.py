"""The nodes of a drill: daemons as children of this process, with the fault relay between them. What the daemons are, a
class of each system says (ringlock_nodes.py, etcd_nodes.py, redis_nodes.py)."""

import os
import signal
import socket
import subprocess
import time

from relay import Relay

START_SECONDS = 60
END_SECONDS = 10
POLL_SECONDS = 0.02


class Failure(Exception):
    """The drill itself did not go as it must."""


def wait_until(condition, what, seconds=START_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not happen within {seconds} s")
        time.sleep(POLL_SECONDS)


def free_ports(count, kind=socket.SOCK_DGRAM):
    """Ports of 127.0.0.1 that were free a moment ago."""
    probes = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Nodes:
    """Daemons 1 to `count`. Use it as a context: at its end nothing of it runs. A system has to say:

      prepare()         what is there before the daemons are started, start_relay() among it
      command(node)     what starts a daemon; environment(node), if it needs one
      address(node)     where a client of this node connects
      answers(node)     whether the daemon, which runs, serves its clients
    """

    tcp = False  # Whether the nodes talk over connections, or by datagrams.
    first_service = "the first service of all nodes"

    def __init__(self, build, folder, count, seed):
        self.build = build
        self.folder = folder
        self.ids = list(range(1, count + 1))
        self.seed = seed
        self.processes = {}
        self.paused = set()
        self.groups = None  # Of a partition that stands.
        self.relay = None

    def start_relay(self, own):
        """Between the addresses at which the daemons themselves listen for each other, {id: "HOST:PORT"}."""
        self.relay = Relay(self.build, os.path.join(self.folder, "relay.sock"), own, self.seed, self.tcp)

    def environment(self, _node):
        return None  # As it is.

    def __enter__(self):
        try:
            self.prepare()
            for node in self.ids:
                self.start(node)
            wait_until(lambda: all(self.serves(node) for node in self.ids), self.first_service)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.ids:
            self.resume(node)
            if node in self.processes:
                self.processes[node].terminate()
        for process in self.processes.values():
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.relay is not None:
            self.relay.end()

    # ---- What can happen to them ----

    def runs(self, node):
        return node in self.processes and self.processes[node].poll() is None

    def start(self, node):
        with open(os.path.join(self.folder, f"{node}.log"), "ab") as log:
            self.processes[node] = subprocess.Popen(
                self.command(node), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(node))

    def kill(self, node):
        self.paused.discard(node)
        self.processes[node].kill()
        self.processes[node].wait()

    def pause(self, node):
        self.paused.add(node)
        self.processes[node].send_signal(signal.SIGSTOP)

    def resume(self, node):
        if node in self.paused:
            self.paused.discard(node)
            self.processes[node].send_signal(signal.SIGCONT)

    def partition(self, *groups):
        self.groups = groups
        self.relay.ask("partition " + " ".join(",".join(map(str, group)) for group in groups))

    def cut(self, source, to):
        self.relay.ask(f"cut {source} {to}")

    def set_links(self, settings):
        self.relay.ask(f"set * * {settings}")

    def heal(self):
        self.groups = None
        self.relay.ask("reset")

    # ---- What they say ----

    def serves(self, node):
        return self.runs(node) and node not in self.paused and self.answers(node)

    def check_alive(self):
        """A daemon that ended by itself has failed a check of its own."""
        for node, process in self.processes.items():
            if process.poll() not in (None, -signal.SIGKILL):
                raise Failure(f"the daemon of node {node} ended with {process.returncode}; see {node}.log")
