"""The daemons of a drill, as children of this process, with the fault relay between them: start, kill, pause, cut."""

import json
import os
import signal
import socket
import subprocess
import time
import uuid

from relay import Relay

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
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


def free_ports(count):
    """UDP ports of 127.0.0.1 that were free a moment ago."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Nodes:
    """Daemons 1 to `count`. Use it as a context: at its end nothing of it runs."""

    def __init__(self, build, folder, count, profile="default", seed=1):
        self.build = build
        self.folder = folder
        self.ids = list(range(1, count + 1))
        self.profile = profile
        self.seed = seed
        self.processes = {}
        self.paused = set()
        self.groups = None  # Of a partition that stands.
        self.relay = None

    def __enter__(self):
        try:
            self.prepare()
            for node in self.ids:
                self.start(node)
            wait_until(lambda: all(self.serves(node) for node in self.ids), "the first primary component")
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

    def prepare(self):
        lockctl = os.path.join(self.build, "tools", "lockctl")
        subprocess.run([lockctl, "keygen", os.path.join(self.folder, "key")], check=True)
        own = {node: f"127.0.0.1:{port}" for node, port in zip(self.ids, free_ports(len(self.ids)))}
        self.relay = Relay(self.build, os.path.join(self.folder, "relay.sock"), own, self.seed)
        cluster = uuid.UUID(int=self.seed, version=4)
        for node in self.ids:
            peers = "".join(f'[[node]]\nid = {peer}\naddresses = ["'
                            f'{own[node] if peer == node else self.relay.links[node, peer]}"]\n' for peer in self.ids)
            with open(self.config(node), "w", encoding="utf-8") as file:
                file.write(f'node_id = {node}\nkey_file = "key"\nstate_dir = "{node}.state"\nsocket = "{node}.sock"\n'
                           f'[cluster]\nname = "drill"\nuuid = "{cluster}"\nprofile = "{self.profile}"\n{peers}')
            subprocess.run([self.lockd(), "init", "--config", self.config(node)], check=True, capture_output=True)

    def lockd(self):
        return os.path.join(self.build, "lockd", "lockd")

    def config(self, node):
        return os.path.join(self.folder, f"{node}.toml")

    def address(self, node):
        """Where a client of this node connects."""
        return os.path.join(self.folder, f"{node}.sock")

    # ---- What can happen to them ----

    def runs(self, node):
        return node in self.processes and self.processes[node].poll() is None

    def start(self, node):
        with open(os.path.join(self.folder, f"{node}.log"), "ab") as log:
            self.processes[node] = subprocess.Popen(
                [self.lockd(), "--config", self.config(node)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

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

    def ask(self, node, *question):
        """An answer of lockctl, or None."""
        if not self.runs(node) or node in self.paused:
            return None
        answer = subprocess.run([os.path.join(self.build, "tools", "lockctl"), "--json", "--socket", self.address(node),
                                 *question], capture_output=True, timeout=END_SECONDS)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def serves(self, node):
        status = self.ask(node, "status")
        return status is not None and status["primary"] and status["state"] == "active"

    def check_alive(self):
        """A daemon that ended by itself has failed a check of its own."""
        for node, process in self.processes.items():
            if process.poll() not in (None, -signal.SIGKILL):
                raise Failure(f"the daemon of node {node} ended with {process.returncode}; see {node}.log")
