"""A cluster of real daemons whose datagrams go through the fault relay: each node's configuration names the relay's
addresses for its peers."""

import os
import re
import socket
import subprocess

import bad_input_harness as h
from bad_input_harness import check

RELAY = os.path.join(h.BUILD, "tools", "relay")


class Relay:
    """The process, started with `nodes`: {id: "HOST:PORT"}."""

    def __init__(self, nodes, control, seed=1):
        self.control = control
        command = [RELAY, "run", "--control", control, "--seed", str(seed)]
        for node, address in nodes.items():
            command += ["--node", f"{node}={address}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.links = {}  # (from, to): where the relay takes what goes that way.
        for line in self.process.stdout:
            if line == "ready\n":
                return
            source, to, address = re.fullmatch(r"link (\d+) (\d+) at=(\S+) to=\S+\n", line).groups()
            self.links[int(source), int(to)] = address
        raise AssertionError(f"the relay ended with {self.process.wait()}")

    def ask(self, command):
        """The lines of the answer; a refusal is an AssertionError."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(h.DEADLINE)
            stream.connect(self.control)
            stream.sendall(command.encode() + b"\n")
            with stream.makefile(encoding="utf-8") as lines:
                answer = []
                for line in lines:
                    check(not line.startswith("error "), f"{command}: {line}")
                    if line == "ok\n":
                        return answer
                    answer.append(line.rstrip("\n"))
        raise AssertionError(f"{command}: the relay hung up")

    def counts(self):
        """{(from, to): {name: number}}."""
        counts = {}
        for line in self.ask("counts"):
            _, source, to, *pairs = line.split()
            counts[int(source), int(to)] = {name: int(n) for name, n in (pair.split("=") for pair in pairs)}
        return counts

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=h.DEADLINE)
        self.process.stdout.close()


class Cluster(h.Cluster):
    """As of bad_input_harness, with `relay` between the nodes."""

    def __init__(self, count, cluster="", tables=""):
        super().__init__(count)
        self.lines = cluster  # For each configuration's [cluster].
        self.tables = tables  # For its end.

    def __enter__(self):
        super().__enter__()
        try:
            self.move_behind_relay()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, *error):
        super().__exit__(*error)
        if hasattr(self, "relay"):
            self.relay.end()

    def move_behind_relay(self):
        nodes = range(1, self.count + 1)
        for node in nodes:
            self.tool("kill", self.folder, str(node))
        own = {node: "%s:%d" % address for node, address in zip(nodes, self.addresses())}
        self.relay = Relay(own, os.path.join(self.parent, "relay.sock"))
        for node in nodes:
            text = self.configuration(node).replace("[cluster]\n", f"[cluster]\n{self.lines}") + self.tables
            for peer in nodes:
                if peer != node:
                    text = text.replace(f'"{own[peer]}"', f'"{self.relay.links[node, peer]}"')
            with open(self.path(f"{node}.toml"), "w", encoding="utf-8") as file:
                file.write(text)
        for node in nodes:
            self.tool("start", self.folder, str(node))
        for node in nodes:
            h.wait_until(lambda n=node: self.status(n)["votes"] == self.count, "all are together again")
