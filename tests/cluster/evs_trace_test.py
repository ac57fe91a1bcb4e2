#!/usr/bin/env python3
"""Real daemons under faults, judged by their traces: groups with every guarantee and locks, while nodes are killed,
stopped, restarted, and cut off from each other; at the end the judge (evs_judge.py) finds nothing, and finds what is
then planted into the traces.

  evs_trace_test.py [SEED]

Each daemon has a network namespace, and bridges connect them. That needs no root, but a kernel that lets users have
namespaces; without them nothing is cut, and the test says so.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

import background
import bad_input_harness as h
import evs_judge
from bad_input_harness import LOCKCTL, LOCKD, check, wait_until

INSIDE = "RINGLOCK_INSIDE_NAMESPACE"
NODES = (1, 2, 3, 4, 5)
FAULTS = 10
PLANTED = 5  # Of each kind.


def call(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


class Network:
    """Two bridges: nodes on different ones do not hear each other. Without namespaces, loopback, which is never cut."""

    def __init__(self, namespaces):
        self.namespaces = namespaces
        self.wires = {}
        self.made = 0
        self.loopback = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        for bridge in ("left", "right") if namespaces else ():
            call("ip", "link", "add", bridge, "type", "bridge")
            call("ip", "link", "set", bridge, "up")

    def address(self, node):
        return f"192.0.2.{node}:7001" if self.namespaces else f"{self.loopback}:{7000 + node}"

    def connect(self, pid, node):
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{pid}/ns/net") != own, "a namespace")
        self.made += 1
        wire = self.wires[node] = f"v{self.made}"
        call("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        call("ip", "link", "set", wire, "master", "left", "up")
        within = ("nsenter", "-t", str(pid), "-n", "ip")
        call(*within, "addr", "add", f"192.0.2.{node}/24", "dev", "eth0")
        call(*within, "link", "set", "eth0", "up")

    def move(self, nodes, bridge):
        for node in nodes:
            call("ip", "link", "set", self.wires[node], "master", bridge)


class Daemons:
    """A cluster in a folder, each daemon with a trace."""

    def __init__(self, network, nodes):
        self.network, self.nodes = network, nodes
        self.folder = tempfile.mkdtemp(prefix="ringlock-")
        self.processes = {}
        call(LOCKCTL, "keygen", self.path("key"))
        entries = "".join(f'\n[[node]]\nid = {node}\naddresses = ["{network.address(node)}"]\n' for node in nodes)
        cluster = uuid.uuid4()
        for node in nodes:
            with open(self.path(f"{node}.toml"), "w", encoding="ascii") as file:
                file.write(f'node_id = {node}\nkey_file = "key"\nstate_dir = "{node}.state"\nsocket = "{node}.sock"\n'
                           f'\n[cluster]\nname = "judged"\nuuid = "{cluster}"\n{entries}')
            call(LOCKD, "init", "--config", self.path(f"{node}.toml"))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        for node, process in self.processes.items():
            process.kill()
            process.wait()
            if error is not None:
                with open(self.path(f"{node}.log"), encoding="utf-8", errors="replace") as file:
                    sys.stderr.write(f"--- the last words of node {node}\n" + "".join(file.readlines()[-10:]))
        if error is not None and os.environ.get("RINGLOCK_KEEP"):
            sys.stderr.write(f"kept: {self.folder}\n")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def trace(self, node):
        return self.path(f"{node}.evs")

    def start(self, node, limit=None):
        command = [LOCKD, "--config", self.path(f"{node}.toml"), "--evs-trace", self.trace(node)]
        if self.network.namespaces:
            command = ["unshare", "-n", "sh", "-c", 'read -r go; exec "$@"', "sh", *command]
        shorten = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
        with open(self.path(f"{node}.log"), "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True,
                                       preexec_fn=shorten)
        self.processes[node] = process
        if self.network.namespaces:
            self.network.connect(process.pid, node)
            process.stdin.write("go\n")
        process.stdin.close()

    def end(self, node, how):
        process = self.processes[node]
        process.send_signal(how)
        check(process.wait(timeout=h.DEADLINE) in (0, -how), f"node {node} ended with {process.returncode}")

    def lockctl(self, node, *arguments, **options):
        return h.run(LOCKCTL, "--socket", self.path(f"{node}.sock"), *arguments, **options)

    def ring(self, node):
        """(id, nodes) of the regular configuration that a node stands in, None if it does not answer."""
        answer = self.lockctl(node, "--json", "evs", "members")
        if answer.returncode != 0:
            return None
        members = json.loads(answer.stdout)
        return str(members["ring"]), tuple(member["node"] for member in members["members"])

    def wait_for_ring(self, nodes):
        nodes = tuple(sorted(nodes))

        def formed():
            rings = {self.ring(node) for node in nodes}
            return len(rings) == 1 and None not in rings and rings.pop()[1] == nodes
        wait_until(formed, f"a ring of {nodes}")


class Traffic(background.Background):
    """Programs that send to groups and take locks on every node, until they are told to end. That a node is gone, or
    has no quorum, is no reason to stop."""

    def __init__(self, daemons, seed):
        super().__init__()
        self.daemons = daemons
        for node in daemons.nodes:
            for what in (self.send, self.lock):
                self.add(what, node, random.Random(f"{seed} {node}"))

    def send(self, node, chance):
        while not self.over.is_set():
            lengths = [chance.choice((1, 10, 100, 1000, 5000)) for _ in range(chance.randint(1, 10))]
            if chance.random() < 0.05:
                lengths.append(chance.randint(100_000, 500_000))
            text = "".join(str(chance.random())[-1] * length + "\n" for length in lengths)
            guarantee = chance.choice(evs_judge.GUARANTEES)
            self.daemons.lockctl(node, "evs", "send", "-g", guarantee, "chat", input=text)
            self.over.wait(0.05)

    def lock(self, node, chance):
        while not self.over.is_set():
            self.daemons.lockctl(node, "run", "-n", f"lock {chance.randint(1, 3)}", "--", "true")
            self.over.wait(0.1)


def kill_some(daemons, chance):
    gone = chance.sample(NODES, chance.randint(1, 2))
    for node in gone:
        daemons.end(node, signal.SIGKILL)
    if chance.random() < 0.5:
        daemons.wait_for_ring(set(NODES) - set(gone))
    for node in gone:
        daemons.start(node)


def restart_one(daemons, chance):
    node = chance.choice(NODES)
    daemons.end(node, signal.SIGTERM)
    daemons.start(node)


def stop_one(daemons, chance):
    """Stopped for so long that the others go on without it."""
    node = chance.choice(NODES)
    process = daemons.processes[node]
    process.send_signal(signal.SIGSTOP)
    try:
        daemons.wait_for_ring(set(NODES) - {node})
    finally:
        process.send_signal(signal.SIGCONT)


def cut(daemons, chance):
    away = chance.sample(NODES, chance.randint(1, 2))
    daemons.network.move(away, "right")
    if chance.random() < 0.7:
        daemons.wait_for_ring(away)
        daemons.wait_for_ring(set(NODES) - set(away))
    if chance.random() < 0.3:
        # From one partition into the other one, without having been together.
        other = chance.choice([node for node in NODES if node not in away])
        daemons.network.move([other], "right")
        daemons.wait_for_ring([*away, other])
        away.append(other)
    if chance.random() < 0.3:
        daemons.end(away[0], signal.SIGKILL)
        daemons.start(away.pop(0))  # It comes up on the other side.
    daemons.network.move(away, "left")


# What a delivery that is still to come can cure. S7.1 is among them: a safe message is delivered when all have it, and
# they deliver it, and note it, one after another.
UNFINISHED = ("L1", "L2", "L3", "S7.1")


def at_rest(daemons):
    """The traces when nothing is under way, with what the judge says. What can still come is waited for."""
    result = []

    def judged():
        lines = {node: evs_judge.lines_of(daemons.trace(node)) for node in NODES}
        violations, counts = evs_judge.judge_lines(lines, rest=NODES)
        result[:] = [lines, violations, counts]
        return any(name not in UNFINISHED for name, _ in violations) or not violations
    try:
        wait_until(judged, "rest")
    except AssertionError:
        check(result and result[1], "the judge has judged")
    return result


def planted_is_found(lines, chance):
    """Changes what the last lives tell; from them, who run, nothing may be missing."""
    def change(what, wanted, alter):
        places = []
        for node, text in lines.items():
            begin = max(at for at, line in enumerate(text) if line.startswith("begin"))
            places += [(node, at) for at in range(begin + 1, len(text) - 1) if wanted(text[at], text[at + 1])]
        for node, at in chance.sample(places, PLANTED):
            text = list(lines[node])
            alter(text, at)
            violations, _ = evs_judge.judge_lines({**lines, node: text}, rest=NODES)
            check(violations, f"{what} in the trace of node {node}, line {at + 1}, and the judge finds nothing")
            print(f"{what}, node {node}, line {at + 1}: {sorted({name for name, _ in violations})}", flush=True)

    def deliver(line, following=None):
        del following
        return line.startswith("deliver ")

    def exchange(text, at):
        text[at], text[at + 1] = text[at + 1], text[at]

    def double(text, at):
        text.insert(at, text[at])

    def drop(text, at):
        del text[at]

    change("two deliveries exchanged", lambda line, following: deliver(line) and deliver(following), exchange)
    change("a delivery doubled", deliver, double)
    change("a delivery dropped", deliver, drop)
    change("a message given dropped", lambda line, _: line.startswith("give "), drop)
    change("a configuration dropped", lambda line, _: line.startswith(("regular ", "transitional ")), drop)


def faults_and_traffic(network, seed):
    chance = random.Random(seed)
    faults = [kill_some, restart_one, stop_one] + ([cut] if network.namespaces else [])
    with Daemons(network, NODES) as daemons:
        for node in NODES:
            daemons.start(node)
        daemons.wait_for_ring(NODES)
        with Traffic(daemons, seed):
            done = faults + [chance.choice(faults) for _ in range(FAULTS - len(faults))]
            chance.shuffle(done)
            for fault in done:
                print(fault.__name__, flush=True)
                fault(daemons, chance)
                daemons.wait_for_ring(NODES)
            # The last lives have something to tell too.
            for node in NODES:
                daemons.lockctl(node, "evs", "send", "chat", input="the end\n" * 20)
        lines, violations, counts = at_rest(daemons)
        print(" ".join(f"{name}={count}" for name, count in sorted(counts.items())), flush=True)
        check(not violations, f"seed {seed}: {violations[:10]}")
        for wanted in ("failed", "transitional", *("delivered_" + name for name in evs_judge.GUARANTEES)):
            check(counts[wanted] > 0, f"nothing of {wanted}: {counts}")
        for node in NODES:
            daemons.end(node, signal.SIGTERM)
        violations, counts = evs_judge.judge_files([daemons.trace(node) for node in NODES])
        check(not violations and counts["left"] >= len(NODES), f"at the end: {violations[:10]} {counts}")
        planted_is_found(lines, chance)


def disk_fails(network):
    """A trace that can not grow: the daemon says so and goes on, and the judge does not take it for the whole."""
    with Daemons(network, (1,)) as daemons:
        daemons.start(1, limit=20_000)
        daemons.wait_for_ring([1])
        check(evs_judge.judge_files([daemons.trace(1)], rest=[1])[0] == [], "a trace of one")
        for _ in range(4):
            ended = daemons.lockctl(1, "evs", "send", "chat", input="message\n" * 100)
            check(ended.returncode == 0, f"evs send: {ended}")

        def log():
            with open(daemons.path("1.log"), encoding="utf-8") as file:
                return file.read()
        wait_until(lambda: "the trace of the ring can not be written" in log(), "it is told")
        check(daemons.lockctl(1, "run", "-n", "lock", "--", "true").returncode == 0, "the daemon goes on")
        daemons.end(1, signal.SIGTERM)
        violations, _ = evs_judge.judge_files([daemons.trace(1)])
        check({name for name, _ in violations} == {"trace"}, f"{violations}")
        with open(daemons.trace(1), encoding="ascii") as file:
            check(file.read().endswith("\n"), "it ends with a whole line")


def main():
    network = Network(bool(os.environ.get(INSIDE)))
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    disk_fails(network)
    faults_and_traffic(network, seed)


if __name__ == "__main__":
    probe = ["unshare", "-rn", "sh", "-c", "ip link add probe type bridge && unshare -n true"]
    if os.environ.get(INSIDE):
        main()
    elif all(shutil.which(tool) for tool in ("ip", "unshare", "nsenter")) and \
            subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0:
        os.execvpe("unshare", ["unshare", "-rn", sys.executable, os.path.abspath(__file__)] + sys.argv[1:],
                   {**os.environ, INSIDE: "1"})
    else:
        print("nothing is cut: no network namespaces for this user here", flush=True)
        main()
