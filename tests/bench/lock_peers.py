"""The lock services that tests/bench/locks_vs_peers measures beside each other: servers on this machine, which reach
each other directly. They are the nodes of tools/drill/ and of tests/bench/lock_failover, without the relay."""

import collections
import os
import shutil
import subprocess
import uuid

from etcd_nodes import EtcdNodes
from nodes import free_ports, wait_until
from redis_nodes import RedisNodes
from ringlock_nodes import RinglockNodes
from zookeeper_nodes import ZooKeeperNodes

ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"


class DirectRinglock(RinglockNodes):
    """With the default profile."""

    def prepare(self):
        subprocess.run([os.path.join(self.build, "tools", "lockctl"), "keygen", os.path.join(self.folder, "key")],
                       check=True)
        peers = "".join(f'[[node]]\nid = {node}\naddresses = ["127.0.0.1:{port}"]\n'
                        for node, port in zip(self.ids, free_ports(len(self.ids))))
        cluster = uuid.uuid4()
        for node in self.ids:
            with open(self.config(node), "w", encoding="utf-8") as file:
                file.write(f'node_id = {node}\nkey_file = "key"\nstate_dir = "{node}.state"\nsocket = "{node}.sock"\n'
                           f'[cluster]\nname = "bench"\nuuid = "{cluster}"\n{peers}')
            subprocess.run([self.lockd(), "init", "--config", self.config(node)], check=True, capture_output=True)


class DirectEtcd(EtcdNodes):
    def prepare(self):
        pass

    def environment(self, node):
        return {name: value for name, value in os.environ.items()
                if not name.startswith("ETCD_") and not name.lower().endswith("_proxy")}

    def peer_url(self, node):
        return f"http://127.0.0.1:{self.peer_ports[node]}"


class DirectRedis(RedisNodes):
    """Which save nothing."""

    saving = ("--save", "", "--appendonly", "no")

    def prepare(self):
        for node in self.ids:
            os.mkdir(self.data(node))

    def address(self, node):
        return self.own_address(node)


# load: what lock_load calls it. tmpfs: where its files are. leads: whether one of the servers leads; the first client
# is there then, as others need longer. pauses: settings of the time between two tries, in ms. warm_up: seconds of load
# before the first figure. needs: the program that has to be there. promise: what its users get.
System = collections.namedtuple("System", "name load nodes servers tmpfs leads pauses warm_up needs promise")

NO_PAUSE = ((0, 0),)
# Client libraries wait for some 200 ms when nothing is configured; the others are for whoever polls hard.
REDIS_PAUSES = ((50, 200), (5, 20), (0.5, 2))

SYSTEMS = {system.name: system for system in (
    System("ringlock", "ringlock", DirectRinglock, 3, True, False, NO_PAUSE, 0, None,
           "safe when any one node of three fails, or is cut off; turns in the order of asking; fencing tokens; "
           "deadlines by monotonic clocks; sealed (ChaCha20-Poly1305); the table is in the memory of every node, and "
           "forgotten when all fail"),
    System("etcd-tmpfs", "etcd", DirectEtcd, 3, True, True, NO_PAUSE, 0, "etcd",
           "safe when any one node of three fails; fencing by revision; turns in order by its lock service; each "
           "change is written and flushed by a majority, here into memory; not sealed"),
    System("etcd-disk", "etcd", DirectEtcd, 3, False, True, NO_PAUSE, 0, "etcd",
           "the same, and it survives the loss of power of all nodes"),
    System("zookeeper-tmpfs", "zookeeper", ZooKeeperNodes, 3, True, True, NO_PAUSE, 10, "java",
           "safe when any one node of three fails; fencing by transaction number; turns in the order of asking; each "
           "change is written and flushed by a majority, here into memory; not sealed"),
    System("zookeeper-disk", "zookeeper", ZooKeeperNodes, 3, False, True, NO_PAUSE, 10, "java",
           "the same, and it survives the loss of power of all nodes"),
    System("redis", "redis", DirectRedis, 1, True, False, REDIS_PAUSES, 0, "redis-server",
           "one server: when it fails there are no locks, and what it granted is forgotten; no tokens; no order; "
           "deadlines by its clock alone; saves nothing; not sealed"),
    System("redlock", "redis", DirectRedis, 3, True, False, REDIS_PAUSES, 0, "redis-server",
           "three servers that know nothing of each other, held with a majority; safe as long as no server restarts, "
           "no clock jumps and no client stops; no tokens; no order; saves nothing; not sealed"),
)}


def why_missing(system):
    """In words, or None if it is there."""
    if system.needs is not None and shutil.which(system.needs) is None:
        return f"{system.needs} is not installed"
    if system.load == "zookeeper" and not os.path.exists(ZOOKEEPER_JAR):
        return f"{ZOOKEEPER_JAR} is not there; Debian's package libzookeeper-java has it"
    return None


def addresses(system, nodes):
    """Where the clients connect, the first one first."""
    ids = list(nodes.ids)
    if system.leads:
        wait_until(lambda: nodes.led_by(1) is not None, f"a leader of {system.name}")
        leader = nodes.led_by(1)
        ids.sort(key=lambda node: (node != leader, node))
    return [nodes.address(node) for node in ids]
