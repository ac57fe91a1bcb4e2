"""Redis servers without replication as the nodes of a drill, as Redlock wants them."""

import os
import socket

from nodes import Nodes, free_ports
from resp import Redis, RedisError

PING_SECONDS = 1


class RedisNodes(Nodes):
    """The servers do not talk to each other. A client is on a node: it reaches that node's server directly, and the
    others as the network between the nodes allows. They save as they do when nothing is configured, which is Debian's
    way too: a snapshot now and then, so that a server that is killed forgets."""

    saving = ()
    tcp = True
    first_service = "the first answers of all servers"

    def __init__(self, build, folder, count, _profile, seed):
        super().__init__(build, folder, count, seed)
        self.ports = dict(zip(self.ids, free_ports(count, socket.SOCK_STREAM)))

    def own_address(self, node):
        return f"127.0.0.1:{self.ports[node]}"

    def prepare(self):
        self.start_relay({node: self.own_address(node) for node in self.ids})
        for node in self.ids:
            os.mkdir(self.data(node))

    def data(self, node):
        return os.path.join(self.folder, f"{node}.redis")

    def command(self, node):
        return ["redis-server", "--port", str(self.ports[node]), "--bind", "127.0.0.1", "--dir", self.data(node),
                *self.saving]

    def address(self, node):
        """All servers, as they are reached from this node."""
        return ",".join(self.own_address(peer) if peer == node else self.relay.links[node, peer] for peer in self.ids)

    def answers(self, node):
        redis = Redis(self.own_address(node), PING_SECONDS)
        try:
            return redis.ask("PING") == b"PONG"
        except (OSError, RedisError):
            return False
        finally:
            redis.close()


class SavingRedisNodes(RedisNodes):
    """As whoever published Redlock advises where servers may crash: each write is on the disk before it is answered."""

    saving = ("--appendonly", "yes", "--appendfsync", "always")
