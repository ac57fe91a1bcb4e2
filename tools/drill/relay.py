"""The fault relay (tools/relay) as a child of this process."""

import os
import re
import socket
import subprocess

ANSWER_SECONDS = 120  # A loaded machine may need some.


class RelayFailure(Exception):
    """It ended, or refused a command."""


class Relay:
    """Between all pairs of `nodes`, {id: "HOST:PORT"}, over UDP or TCP; its commands are in tools/relay/README.md."""

    def __init__(self, build, control, nodes, seed=1, tcp=False):
        self.control = control
        command = [os.path.join(build, "tools", "relay"), "run", "--control", control, "--seed", str(seed)]
        if tcp:
            command.append("--tcp")
        for node, address in nodes.items():
            command += ["--node", f"{node}={address}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.links = {}  # (from, to): where the relay takes what goes that way.
        self.proxies = {}  # from: where it takes connections that say by SOCKS5 where they go.
        for line in self.process.stdout:
            if line == "ready\n":
                return
            if proxy := re.fullmatch(r"proxy (\d+) at=(\S+)\n", line):
                self.proxies[int(proxy[1])] = proxy[2]
                continue
            source, to, address = re.fullmatch(r"link (\d+) (\d+) at=(\S+) to=\S+\n", line).groups()
            self.links[int(source), int(to)] = address
        raise RelayFailure(f"the relay ended with {self.process.wait()}")

    def ask(self, command):
        """The lines of the answer."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(ANSWER_SECONDS)
            stream.connect(self.control)
            stream.sendall(command.encode() + b"\n")
            with stream.makefile(encoding="utf-8") as lines:
                answer = []
                for line in lines:
                    if line.startswith("error "):
                        raise RelayFailure(f"{command}: {line}")
                    if line == "ok\n":
                        return answer
                    answer.append(line.rstrip("\n"))
        raise RelayFailure(f"{command}: the relay hung up")

    def counts(self):
        """{(from, to): {name: number}}."""
        counts = {}
        for line in self.ask("counts"):
            _, source, to, *pairs = line.split()
            counts[int(source), int(to)] = {name: int(n) for name, n in (pair.split("=") for pair in pairs)}
        return counts

    def end(self):
        self.process.terminate()
        self.process.wait(ANSWER_SECONDS)
        self.process.stdout.close()
