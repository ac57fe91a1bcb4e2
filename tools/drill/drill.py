"""A drill: daemons of one system (systems.py), clients and resources as real processes of this machine, faults among
them, and everything recorded for a judge. tests/cluster/chaos runs it unattended, tools/demo partition for people to
watch."""

import os
import signal
import subprocess
import sys
import time

import lock_judge
from faults import Faults
from history import Recorder
from nodes import END_SECONDS, Failure, wait_until
from systems import SYSTEMS

HERE = os.path.dirname(os.path.realpath(__file__))
LOCKS = 6
CLIENTS_OF_NODE = 2
SETTLE_LEASES = 6  # How long after a fault locks may still be lost by it.
QUIET_LEASES = 8  # How long everybody is left alone before the end.


class Resources:
    """The processes that the locks protect."""

    def __init__(self, folder, history, names):
        """`names` says of each whether it checks tokens or trusts."""
        self.paths = {name: os.path.join(folder, f"{name}.resource") for name in names}
        self.processes = [
            subprocess.Popen([sys.executable, os.path.join(HERE, "resource.py"), self.paths[name], history, name, "1",
                              how])
            for name, how in names.items()]

    def await_start(self):
        wait_until(lambda: all(os.path.exists(path) for path in self.paths.values()), "the start of the resources")

    def end(self):
        for process in self.processes:
            process.terminate()
            process.wait(END_SECONDS)


class Clients:
    """The workers; one that was killed is replaced by another one."""

    def __init__(self, build, system, history, seed, nodes, resources, of_node=CLIENTS_OF_NODE):
        self.build = build
        self.system = system
        self.history = history
        self.seed = seed
        self.nodes = nodes
        self.resources = [f"{name}={path}" for name, path in resources.paths.items()]
        self.processes = {}  # By name: "node.place.life".
        self.started = 0
        for node in nodes.ids:
            for place in range(1, of_node + 1):
                self.start(f"{node}.{place}.1")

    def start(self, name):
        self.started += 1
        self.processes[name] = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "worker.py"), name, self.history, str(self.seed * 10000 + self.started),
             str(LOCKS), self.system, self.build, self.nodes.address(int(name.split(".")[0])), *self.resources])

    def names(self):
        return list(self.processes)

    def alive(self, name):
        return name in self.processes and self.processes[name].poll() is None

    def signal(self, name, number):
        if self.alive(name):
            self.processes[name].send_signal(number)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def replace(self, name):
        del self.processes[name]
        node, place, life = name.split(".")
        self.start(f"{node}.{place}.{int(life) + 1}")

    def end(self):
        """Asks all to end what they are at, and waits. One that does not end is a finding of the judge: unserved."""
        for name in self.names():
            self.signal(name, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(4 * END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def check_alive(self):
        for name, process in self.processes.items():
            if process.poll() not in (None, 0, -signal.SIGKILL):
                raise Failure(f"client {name} ended with {process.returncode}")


class Drill:
    """Runs one cluster for so many seconds in `folder`; the history is in folder/history."""

    def __init__(self, build, folder, count=5, profile="fast", seed=1, clients_of_node=CLIENTS_OF_NODE,
                 system="ringlock"):
        self.history = os.path.join(folder, "history")
        self.system = SYSTEMS[system]
        self.lease = self.system.leases[profile]
        os.makedirs(self.history)
        self.recorder = Recorder(self.history, "faults")
        self.nodes = self.system.nodes(build, folder, count, profile, seed)
        self.build = build
        self.folder = folder
        self.seed = seed
        self.clients_of_node = clients_of_node

    def run(self, play):
        """`play` lets things go wrong meanwhile. The counts of the faults, by kind."""
        with self.nodes:
            resources = Resources(self.folder, self.history, self.system.resources)
            clients = None
            try:
                resources.await_start()
                self.clients = clients = Clients(self.build, self.system.name, self.history, self.seed, self.nodes,
                                                 resources, self.clients_of_node)
                self.faults = Faults(self.nodes, clients, self.recorder, self.seed, self.lease)
                play()
                self.recover()
                clients.end()
                self.recorder.write(event="finish")
            finally:
                if clients is not None:
                    for name in clients.names():
                        clients.signal(name, signal.SIGCONT)
                        clients.signal(name, signal.SIGKILL)
                resources.end()
        return self.faults.counts

    def judge(self):
        """The verdict on what was recorded."""
        return lock_judge.judge(self.history, SETTLE_LEASES * self.lease)

    def inject(self, seconds):
        """Faults as the seed draws them, for so long."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            self.faults.step(now)
            self.check_alive()
            time.sleep(self.faults.next_pause())

    def check_alive(self):
        self.nodes.check_alive()
        self.clients.check_alive()

    def recover(self):
        self.faults.heal()
        wait_until(lambda: all(self.nodes.serves(node) for node in self.nodes.ids), "the last service of all nodes")
        time.sleep(QUIET_LEASES * self.lease)
