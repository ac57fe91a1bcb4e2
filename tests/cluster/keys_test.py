#!/usr/bin/env python3
"""Three daemons change the key of their cluster while they run: nobody leaves, nobody loses a lock.

  keys_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import json
import os
import shutil
import signal

import bad_input_harness as h
from bad_input_harness import check, wait_until

NODES = (1, 2, 3)


def own_files(cluster):
    """Each node gets a key file of its own, as on machines of their own."""
    for node in NODES:
        shutil.copy2(cluster.path("key"), key_file(cluster, node))
        text = cluster.configuration(node).replace('key_file = "key"', f'key_file = "{node}.key"')
        with open(cluster.path(f"{node}.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        cluster.tool("kill", cluster.folder, str(node))
        cluster.tool("start", cluster.folder, str(node))
    cluster.check_well()
    wait_until(lambda: cluster.status(1)["votes"] == 3, "all are together again")


def key_file(cluster, node):
    return cluster.path(f"{node}.key")


def keys(cluster, node, *change):
    answer = h.run(h.LOCKCTL, "--json", "keys", key_file(cluster, node), *change)
    check(answer.returncode == 0, f"lockctl keys {change}: {answer.stderr}")
    return json.loads(answer.stdout)


def reread(cluster, node):
    told = cluster.log(node).count("keys reread")
    os.kill(cluster.pid(node), signal.SIGHUP)
    wait_until(lambda: cluster.log(node).count("keys reread") == told + 1, f"node {node} rereads its keys")


def used(cluster, node):
    answer = cluster.lockctl(node, "--json", "keys")
    check(answer.returncode == 0, f"lockctl keys: {answer.stderr}")
    return {seen["node"]: seen["key"] for seen in json.loads(answer.stdout)["nodes"]}


def a_change_of_keys():
    with h.Cluster(3) as cluster:
        own_files(cluster)
        with h.holder(cluster, 1, "precious"):
            ring = cluster.status(1)["ring"]
            check(keys(cluster, 1, "--add") == {"key_file": key_file(cluster, 1), "keys": [1, 2], "in_use": 1}, "added")
            for node in NODES[1:]:
                shutil.copy2(key_file(cluster, 1), key_file(cluster, node))
            for node in NODES:
                reread(cluster, node)
            for step, node in enumerate(NODES):
                check(keys(cluster, node, "--use", "2")["in_use"] == 2, "in use")
                reread(cluster, node)
                wanted = {other: 2 if other in NODES[:step + 1] else 1 for other in NODES}
                for watcher in NODES:
                    wait_until(lambda w=watcher: used(cluster, w) == wanted, f"node {watcher} hears {wanted}")
            for node in NODES:
                check(keys(cluster, node, "--remove", "1")["keys"] == [2], "removed")
                reread(cluster, node)
            check(h.run(h.LOCKCTL, "--socket", cluster.socket(2), "run", "another", "--", "true").returncode == 0, "a lock")
            for node in NODES:
                check(cluster.status(node)["ring"] == ring, "no configuration has changed")
                check(cluster.counter(node, "key_in_use") == 2, "the key in use is part of the status")
                check(cluster.counter(node, "datagrams_refused_wrong_key_id") == 0, "no datagram was refused")
        text = cluster.lockctl(1, "keys").stdout
        check(text.splitlines() == ["NODE          KEY", "1 (this one)  2", "2             2", "3             2"], text)


def a_file_that_is_broken():
    """The daemon says what is wrong, and keeps the keys it has."""
    with h.Cluster(1) as cluster:
        with open(cluster.path("key"), "wb") as file:
            file.write(b"ringlock keys\nuse 1\nkey 1 broken\n")
        os.kill(cluster.pid(1), signal.SIGHUP)
        wait_until(lambda: "keys not reread" in cluster.log(1), "it complains")
        check("line 3 needs 64 hexadecimal digits" in cluster.log(1), "with the line")
        os.kill(cluster.pid(1), signal.SIGHUP)
        cluster.check_well()


h.main([a_change_of_keys, a_file_that_is_broken])
