"""Networks of our own to measure in: a namespace for each node, joined by a bridge in another one. Needs root."""

import contextlib
import os
import subprocess


def run(*command, text=None):
    made = subprocess.run(command, input=text, capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {made.stderr.strip()}")
    return made.stdout


class Network:
    """Node i is reached at 10.77.0.i from the others, and has the namespace `namespaces[i - 1]`."""

    def __init__(self, nodes, megabits=None):
        mark = f"rl{os.getpid()}"
        self.switch = f"{mark}s"
        self.namespaces = [f"{mark}n{node}" for node in range(1, nodes + 1)]
        self.megabits = megabits

    @staticmethod
    def address(node):
        return f"10.77.0.{node}"

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.switch)
            self.inside(self.switch, "ip", "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
            self.inside(self.switch, "ip", "link", "set", "bridge", "up")
            for node, namespace in enumerate(self.namespaces, 1):
                self.add(node, namespace)
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, node, namespace):
        run("ip", "netns", "add", namespace)
        port = f"port{node}"
        self.inside(self.switch, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self.inside(self.switch, "ip", "link", "set", port, "master", "bridge", "up")
        self.inside(namespace, "ip", "address", "add", f"{self.address(node)}/24", "brd", "+", "dev", "eth0")
        self.inside(namespace, "ip", "link", "set", "lo", "up")
        self.inside(namespace, "ip", "link", "set", "eth0", "up")
        self.inside(namespace, "ip", "route", "add", "multicast", "224.0.0.0/4", "dev", "eth0")
        for where, link in ((namespace, "eth0"), (self.switch, port)):
            if self.megabits:
                # A link carries so much in each direction.
                self.inside(where, "tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", f"{self.megabits}mbit",
                            "burst", "32kb", "latency", "50ms")

    def lose(self, percent):
        """So many of the datagrams that arrive at a node get lost from now on."""
        for namespace in self.namespaces:
            self.inside(namespace, "nft", "flush", "ruleset")
            if percent:
                self.inside(namespace, "nft", "-f", "-", text=(
                    "table inet loss { chain input { type filter hook input priority 0; "
                    f"iifname eth0 meta l4proto udp numgen random mod 1000 < {round(percent * 10)} drop\n}}\n}}\n"))

    @staticmethod
    def inside(namespace, *command, text=None):
        return run(*Network.command(namespace, *command), text=text)

    @staticmethod
    def command(namespace, *command):
        return ["ip", "netns", "exec", namespace, *command]

    def __exit__(self, *_):
        for namespace in [*self.namespaces, self.switch]:
            with contextlib.suppress(RuntimeError):
                run("ip", "netns", "delete", namespace)
