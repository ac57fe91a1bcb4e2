#!/usr/bin/env python3
"""Bad configurations and files for a real daemon: each is refused with a word that says where and what to do.

  bad_input_files_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import os
import shutil
import socket
import subprocess
import tempfile

import bad_input_harness as h
from bad_input_harness import check

EX_UNAVAILABLE, EX_CANTCREAT, EX_CONFIG = 69, 73, 78

GOOD = """node_id = 1
key_file = "key"
state_dir = "state"
socket = "lockd.sock"

[cluster]
name = "test"
uuid = "5f0c6a1e-7c3e-4f35-9a51-0d3a1c6b2f90"

[[node]]
id = 1
addresses = ["127.3.2.1:7001"]

[[node]]
id = 2
addresses = ["127.3.2.1:7002"]

[[node]]
id = 3
addresses = ["127.3.2.1:7003"]
"""


class Node:
    """The files of a node that would start."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="ringlock-")
        self.config = os.path.join(self.folder, "lockd.toml")
        self.write(GOOD)
        check(h.run(h.LOCKCTL, "keygen", self.path("key")).returncode == 0, "keygen")
        made = h.run(h.LOCKD, "init", "--config", self.config)
        check(made.returncode == 0, f"init: {made.stderr}")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, text):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def refused(self, code, *words):
        """The daemon ends at once with this code, and says these words."""
        ended = h.run(h.LOCKD, "--config", self.config)
        check(ended.returncode == code, f"exit code {ended.returncode} instead of {code}: {ended.stderr}")
        for word in words:
            check(word in ended.stderr, f"{word!r} is not in: {ended.stderr}")

    def refused_by_check(self, *words):
        """--check-config says the same as a start, and ends with the same code."""
        ended = h.run(h.LOCKD, "--check-config", self.config)
        check(ended.returncode == EX_CONFIG, f"--check-config ends with {ended.returncode}: {ended.stderr}")
        for word in words:
            check(word in ended.stderr, f"{word!r} is not in: {ended.stderr}")
        self.refused(EX_CONFIG, *words)


def good_files():
    with Node() as node:
        ended = h.run(h.LOCKD, "--check-config", node.config)
        check(ended.returncode == 0, f"--check-config: {ended.stderr}")
        printed = h.run(h.LOCKD, "--print-config", node.config)
        check(printed.returncode == 0 and "lease_ms = 2000  # default" in printed.stdout, printed.stdout)


def configurations():
    cases = [
        ("key_file", "keyfile", ":2:1: ", "unknown key", 'did you mean "key_file"?'),
        ('name = "test"', 'name = "test"\nlease_ms = 5', ":8:1: ", "it belongs into [timing]"),
        ("id = 2", 'id = "two"', ":15:6: ", "has to be a whole number", "not a string"),
        ("id = 2", "id = 1", ":15:6: ", "is taken by the node of line 11"),
        ("node_id = 1", "node_id = 4", ":1:11: ", "no [[node]] entry has this id"),
        ('"127.3.2.1:7002"', '"host:7002"', ":16:14: ", "numeric"),
        ("[cluster]", "two_node = 1\n[cluster]", ":6:1: ", "two_node: refused"),
        ("[cluster]", "[cluster", ":6:", "is not TOML"),
        ("node_id = 1\n", "", "node_id is missing"),
    ]
    with Node() as node:
        for before, after, *words in cases:
            node.write(GOOD.replace(before, after))
            node.refused_by_check(node.config, *words)
        os.remove(node.config)
        node.refused_by_check(node.config + ": is missing")


def key_files():
    with Node() as node:
        key = node.path("key")
        os.chmod(key, 0o644)
        node.refused_by_check(key, "chmod 600")
        os.chmod(key, 0o600)
        with open(key, "ab") as file:
            file.write(b"x")
        node.refused_by_check(key, "neither 32 bytes long")
        os.remove(key)
        node.refused_by_check(key, "is missing", "lockctl keygen")


def state_folders():
    with Node() as node:
        record = node.path("state/record")
        again = h.run(h.LOCKD, "init", "--config", node.config)
        check(again.returncode == EX_CANTCREAT and "exists already" in again.stderr, f"init: {again.stderr}")
        if os.geteuid() != 0:  # Permissions do not hold root back.
            os.chmod(record, 0o400)
            node.refused_by_check(record, "cannot be opened for writing", "Permission denied")
        os.remove(record)
        node.refused_by_check(record, "is missing", "lockd init")
        os.mkdir(record)
        node.refused_by_check(record)
        shutil.rmtree(node.path("state"))
        with open(node.path("state"), "w", encoding="ascii"):
            pass
        node.refused_by_check(record, "cannot be opened for writing")
        made = h.run(h.LOCKD, "init", "--config", node.config)
        check(made.returncode == EX_CANTCREAT and "cannot be created" in made.stderr, f"init: {made.stderr}")


def another_node_s_record():
    with Node() as node:
        node.write(GOOD.replace("node_id = 1", "node_id = 2"))
        node.refused_by_check("is of node 1")
        node.write(GOOD.replace("5f0c6a1e", "5f0c6a1f"))
        node.refused_by_check("is of another cluster")


def addresses_in_use():
    with Node() as node, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.3.2.1", 7001))
        node.refused(EX_UNAVAILABLE, "127.3.2.1:7001", "in use")
    with Node() as node:
        node.write(GOOD.replace("127.3.2.1:7001", "192.0.2.77:7001"))
        node.refused(EX_UNAVAILABLE, "192.0.2.77:7001")


def two_daemons_with_one_folder():
    with Node() as node:
        with open(node.path("log"), "wb") as log:
            daemon = subprocess.Popen([h.LOCKD, "--config", node.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            h.wait_until(lambda: os.path.exists(node.path("lockd.sock")), "the daemon serves")
            node.refused(EX_UNAVAILABLE, "in use by another lockd")
            # The configuration is not wrong for that.
            check(h.run(h.LOCKD, "--check-config", node.config).returncode == 0, "--check-config while it runs")

            # Another node that is told the same socket.
            other = node.path("other.toml")
            with open(other, "w", encoding="utf-8") as file:
                file.write(GOOD.replace("node_id = 1", "node_id = 2").replace('"state"', '"state2"'))
            check(h.run(h.LOCKD, "init", "--config", other).returncode == 0, "init")
            ended = h.run(h.LOCKD, "--config", other)
            check(ended.returncode == EX_UNAVAILABLE and "lockd.sock" in ended.stderr, f"the socket is taken: {ended.stderr}")
            check(h.run(h.LOCKCTL, "--socket", node.path("lockd.sock"), "status").returncode == 0, "the first one still serves")
        finally:
            daemon.terminate()
            check(daemon.wait(timeout=h.DEADLINE) == 0, "a clean end")


def a_socket_path_that_is_something_else():
    with Node() as node:
        with open(node.path("lockd.sock"), "w", encoding="ascii") as file:
            file.write("precious")
        node.refused(EX_UNAVAILABLE, "lockd.sock")
        with open(node.path("lockd.sock"), encoding="ascii") as file:
            check(file.read() == "precious", "it is not touched")


def a_corrupt_record():
    """The node goes on without a vote, and says so; the others, and all locks, are not concerned."""
    with h.Cluster(3) as cluster, h.holder(cluster, 1, "precious"):
        for damage in (b"", b"\0" * 8192, os.urandom(8192)):
            cluster.tool("kill", cluster.folder, "3")
            with open(cluster.path("3.state/record"), "wb") as file:
                file.write(damage)
            cluster.tool("start", cluster.folder, "3")
            check("damaged in both slots" in cluster.log(3), "the log says what is wrong")
        cluster.check_well()


h.main([good_files, configurations, key_files, state_folders, another_node_s_record, addresses_in_use,
        two_daemons_with_one_folder, a_socket_path_that_is_something_else, a_corrupt_record])
