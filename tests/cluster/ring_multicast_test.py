#!/usr/bin/env python3
"""Processes on a network of their own form a ring by multicast, over IPv4 and over IPv6.

  ring_multicast_test.py RING_MEMBER      the program of tests/cluster/ring_member.cc

Each has a network namespace, and a bridge connects them. It needs no root, but a kernel that lets users have
namespaces, and the programs ip, unshare and nsenter; without them it says so and passes.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time

import ring_test

INSIDE = "RINGLOCK_INSIDE_NAMESPACE"
IDS = (1, 2, 3)
PORTS = itertools.count()


def call(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def connect(pid, node):
    """Gives the namespace of this process an interface on the bridge."""
    port = f"port{next(PORTS)}"  # The kernel removes those of a namespace that has ended only after a while.
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{pid}/ns/net") == own:
        assert time.monotonic() < ring_test.END, "no namespace"
        time.sleep(0.01)
    call("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    call("ip", "link", "set", port, "master", "bridge", "up")
    within = ("nsenter", "-t", str(pid), "-n", "ip")
    call(*within, "addr", "add", f"192.0.2.{node}/24", "dev", "eth0")
    call(*within, "addr", "add", f"fd00::{node}/64", "dev", "eth0", "nodad")
    call(*within, "link", "set", "eth0", "up")
    call(*within, "link", "set", "lo", "up")


def run(program, folder, members, addresses, group):
    key = os.path.join(folder, "key")
    if not os.path.exists(key):
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(os.urandom(32))
    for i in IDS:
        members[i] = ring_test.Member(["unshare", "-n", "sh", "-c", 'read -r go; exec "$@"', "sh", program, key, str(i)] +
                                      addresses + [f"multicast={group}"])
        connect(members[i].process.pid, i)
        members[i].say("go")
    for i in IDS:
        members[i].wait_for_ring(IDS)
    for n in range(100):
        for i in IDS:
            members[i].say(f"{'safe' if n % 2 else 'agreed'} {n} of {i}")
    for i in IDS:
        for j in IDS:
            members[i].wait_for_message(f"safe 99 of {j}")
    heard = [[line.split(" ", 3)[3] for line in members[i].messages() if " of " in line] for i in IDS]
    assert len(heard[0]) == 300 and heard[0] == heard[1] == heard[2], "the order differs"
    for i in IDS:
        ended = members[i].end_of_input()
        assert int(ended["from_group"]) > 0 and ended["forged"] == "0", ended
        for j in IDS[i:]:
            members[j].wait_for_ring(IDS[i:])


def main(program):
    call("ip", "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
    call("ip", "link", "set", "bridge", "up")
    networks = {"239.192.0.1:7001": [f"{i}=192.0.2.{i}:7002" for i in IDS],
                "[ff02::5500]:7001": [f"{i}=[fd00::{i}]:7002" for i in IDS]}
    for group, addresses in networks.items():
        running = {}
        with tempfile.TemporaryDirectory() as scratch:
            try:
                run(program, scratch, running, addresses, group)
                print(f"a ring by {group}", flush=True)
            except AssertionError:
                # One side's view does not tell which link has failed.
                for i, member in running.items():
                    print(f"node {i}: {member.lines[-12:]}", flush=True)
                raise
            finally:
                for member in running.values():
                    member.process.kill()
                    member.process.wait()


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        main(sys.argv[1])
        sys.exit(0)
    probe = ["unshare", "-rn", "sh", "-c", "ip link add probe type bridge && unshare -n true"]
    if not all(shutil.which(tool) for tool in ("ip", "unshare", "nsenter")) or \
            subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        print("not tested: no network namespaces for this user here")
        sys.exit(0)
    os.execvpe("unshare", ["unshare", "-rn", sys.executable, os.path.abspath(__file__)] + sys.argv[1:],
               {**os.environ, INSIDE: "1"})
