#!/usr/bin/env python3
"""Three daemons with another cipher and another transport than by default.

  transport_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import socket

import bad_input_harness as h
from bad_input_harness import check, wait_until

NODES = (1, 2, 3)


def configure(cluster, nodes, line):
    """These nodes are started anew with a further line in their [cluster]."""
    for node in nodes:
        cluster.tool("kill", cluster.folder, str(node))
    for node in nodes:
        with open(cluster.path(f"{node}.toml"), encoding="utf-8") as file:
            text = file.read()
        with open(cluster.path(f"{node}.toml"), "w", encoding="utf-8") as file:
            file.write(text.replace("[cluster]\n", f"[cluster]\n{line}\n"))
        cluster.tool("start", cluster.folder, str(node))


def works(cluster):
    cluster.check_well()
    for node in NODES:
        wait_until(lambda n=node: cluster.status(n)["votes"] == 3, "all are together")
        check(cluster.lockctl(node, "run", "x", "--", "true").returncode == 0, f"a lock at node {node}")


def by_multicast():
    with h.Cluster(3) as cluster:
        port = cluster.addresses()[0][1] + 500
        configure(cluster, NODES, f'multicast = "239.255.77.2:{port}"')
        works(cluster)
        for node in NODES:
            check(cluster.counter(node, "datagrams_from_group") > 0, "multicast is heard")
            check(cluster.counter(node, "datagrams_refused_forged") == 0, "and nothing else")


def with_aes_256_gcm():
    with h.Cluster(3) as cluster:
        configure(cluster, NODES, 'cipher = "aes-256-gcm"')
        works(cluster)
        # A node that is told another cipher than the others says nothing that they understand.
        refused = cluster.counter(1, "datagrams_refused_wrong_cipher")
        stranger = h.Sealer(bytes(32), bytes(16), 3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(stranger.seal(b"x"), cluster.addresses()[0])
        wait_until(lambda: cluster.counter(1, "datagrams_refused_wrong_cipher") == refused + 1, "it is told apart")


h.main([by_multicast, with_aes_256_gcm])
