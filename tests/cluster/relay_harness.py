"""A cluster of real daemons whose datagrams go through the fault relay: each node's configuration names the relay's
addresses for its peers."""

import os
import sys

import bad_input_harness as h

sys.path.append(os.path.join(h.ROOT, "tools", "drill"))

from relay import Relay

RELAY = os.path.join(h.BUILD, "tools", "relay")


def relay(nodes, control, seed=1):
    return Relay(h.BUILD, control, nodes, seed)


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
        self.relay = relay(own, os.path.join(self.parent, "relay.sock"))
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
