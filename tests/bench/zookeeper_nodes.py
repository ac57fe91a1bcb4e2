"""The servers of ZooKeeper, from Debian's package zookeeper, as nodes: with the times of its sample configuration."""

import os
import socket
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.append(os.path.join(HERE, "..", "..", "tools", "drill"))

from nodes import Nodes, free_ports  # pylint: disable=wrong-import-position

ANSWER_SECONDS = 2


class ZooKeeperNodes(Nodes):
    tcp = True
    first_service = "the first leader"

    def __init__(self, build, folder, count, _profile, seed):
        super().__init__(build, folder, count, seed)
        ports = free_ports(3 * count, socket.SOCK_STREAM)
        self.client_ports, self.quorum_ports, self.election_ports = (
            dict(zip(self.ids, ports[at:at + count])) for at in (0, count, 2 * count))

    def prepare(self):
        servers = "".join(f"server.{node}=127.0.0.1:{self.quorum_ports[node]}:{self.election_ports[node]}\n"
                          for node in self.ids)
        for node in self.ids:
            data = os.path.join(self.folder, f"{node}.data")
            os.mkdir(data)
            with open(os.path.join(data, "myid"), "w", encoding="ascii") as file:
                file.write(f"{node}\n")
            with open(os.path.join(self.folder, f"{node}.cfg"), "w", encoding="ascii") as file:
                file.write(f"tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={data}\nclientPortAddress=127.0.0.1\n"
                           f"clientPort={self.client_ports[node]}\nadmin.enableServer=false\n{servers}")

    def command(self, node):
        return ["java", "-cp", "/usr/share/java/zookeeper.jar", "-Dzookeeper.jmx.log4j.disable=true",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", os.path.join(self.folder, f"{node}.cfg")]

    def address(self, node):
        return f"127.0.0.1:{self.client_ports[node]}"

    def mode(self, node):
        """"leader" or "follower", or nothing if it does not serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.client_ports[node]), ANSWER_SECONDS) as stream:
                stream.sendall(b"srvr")
                with stream.makefile("rb") as lines:
                    words = lines.read().decode(errors="replace").split()
        except OSError:
            return None
        return words[words.index("Mode:") + 1] if "Mode:" in words else None

    def answers(self, node):
        return self.mode(node) is not None

    def led_by(self, _node):
        return next((node for node in self.ids if self.runs(node) and self.mode(node) == "leader"), None)
