"""The members of an etcd cluster as the nodes of a drill: with etcd's own time-outs, and with their data on a disk."""

import http.client
import json
import os
import socket

from nodes import Nodes, free_ports

HEALTH_SECONDS = 2


class EtcdNodes(Nodes):
    """A member has one address for all others, so the relay cannot know from a port who speaks: each member has a proxy
    of its own, by whose port the relay knows it. Members use no proxy for what they take for their own machine, so they
    are told 0.0.0.0, which they do not take for it and which is it all the same."""

    tcp = True
    first_service = "the first leader"

    def __init__(self, build, folder, count, _profile, seed):
        super().__init__(build, folder, count, seed)
        ports = free_ports(2 * count, socket.SOCK_STREAM)
        self.peer_ports = dict(zip(self.ids, ports[:count]))
        self.client_ports = dict(zip(self.ids, ports[count:]))

    def prepare(self):
        self.start_relay({node: f"127.0.0.1:{port}" for node, port in self.peer_ports.items()})

    def environment(self, node):
        ours = {name: value for name, value in os.environ.items()
                if not name.startswith("ETCD_") and not name.lower().endswith("_proxy")}
        return {**ours, "HTTP_PROXY": f"socks5://{self.relay.proxies[node]}"}

    def command(self, node):
        client = f"http://{self.address(node)}"
        return ["etcd", "--name", f"n{node}", "--data-dir", os.path.join(self.folder, f"{node}.etcd"),
                "--listen-peer-urls", f"http://127.0.0.1:{self.peer_ports[node]}",
                "--initial-advertise-peer-urls", self.peer_url(node),
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--initial-cluster", ",".join(f"n{peer}={self.peer_url(peer)}" for peer in self.ids),
                "--initial-cluster-token", f"drill-{self.seed}"]

    def peer_url(self, node):
        return f"http://0.0.0.0:{self.peer_ports[node]}"

    def address(self, node):
        return f"127.0.0.1:{self.client_ports[node]}"

    def answers(self, node):
        """Whether it reads what a majority agrees to."""
        return self.ask(node, "GET", "/health").get("health") == "true"

    def led_by(self, node):
        """The member that leads, as this one knows, or None."""
        status = self.ask(node, "POST", "/v3/maintenance/status", "{}")
        members = self.ask(node, "POST", "/v3/cluster/member/list", "{}").get("members", [])
        return next((int(member["name"].removeprefix("n")) for member in members
                     if member["ID"] == status.get("leader") and "name" in member), None)

    def ask(self, node, method, path, body=None):
        """The answer, empty if there is none."""
        connection = http.client.HTTPConnection(self.address(node), timeout=HEALTH_SECONDS)
        try:
            connection.request(method, path, body)
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
