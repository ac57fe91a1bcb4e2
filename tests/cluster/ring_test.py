#!/usr/bin/env python3
"""Real processes form a real ring on loopback.

  ring_test.py RING_MEMBER      the program of tests/cluster/ring_member.cc
"""

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time

DEADLINE = 60  # Seconds for all of it; a loaded machine may need some.


class Member:
    """One process, and the lines that it has printed so far."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.arriving = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.arriving.put(line.rstrip("\n"))

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def wait_for(self, what, done):
        while not done(self.lines):
            try:
                self.lines.append(self.arriving.get(timeout=max(0.0, END - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"deadline: {what}; the last lines were {self.lines[-5:]}") from None

    def wait_for_ring(self, members):
        """The last configuration is a regular one of exactly these nodes."""
        wanted = [str(m) for m in members]
        self.wait_for(f"a ring of {wanted}", lambda lines: self.ring(lines) == wanted)

    @staticmethod
    def ring(lines):
        changes = [line.split() for line in lines if not line.startswith("message ")]
        return changes[-1][2:] if changes and changes[-1][0] == "regular" else None

    def wait_for_message(self, text):
        self.wait_for(text, lambda lines: any(line.endswith(" " + text) for line in lines))

    def messages(self):
        return [line for line in self.lines if line.startswith("message ")]

    def end_of_input(self):
        self.process.stdin.close()
        self.wait_for("the end", lambda lines: any(line.startswith("end ") for line in lines))
        assert self.process.wait(timeout=max(0.1, END - time.monotonic())) == 0
        return dict(pair.split("=") for pair in self.lines[-1].split()[1:])


def free_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run(program, folder, members):
    key = os.path.join(folder, "cluster.key")
    with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(os.urandom(32))
    ids = [1, 2, 3]
    addresses = [f"{i}=127.0.0.1:{port}" for i, port in zip(ids, free_ports(3))]

    def start(i):
        members[i] = Member([program, key, str(i)] + addresses)
        return members[i]

    # Two processes are a ring, a third one joins.
    start(1), start(2)
    members[1].wait_for_ring([1, 2])
    members[2].wait_for_ring([1, 2])
    members[1].say("safe hello from one")
    members[2].wait_for_message("safe hello from one")
    start(3)
    for i in ids:
        members[i].wait_for_ring(ids)

    # All speak at once; all hear the same in the same order, with the same places.
    before = {i: len(members[i].messages()) for i in ids}
    for n in range(200):
        for i in ids:
            members[i].say(f"{'safe' if n % 2 else 'agreed'} {n} of {i}")
    for i in ids:
        for j in ids:
            members[i].wait_for_message(f"safe 199 of {j}")
    heard = [members[i].messages()[before[i]:] for i in ids]
    assert len(heard[0]) == 600, len(heard[0])
    assert heard[0] == heard[1] == heard[2], "the order differs"

    # One is killed: the others go on. It is started again: it comes in as a new life.
    members[2].process.kill()
    members[2].process.wait()
    for i in (1, 3):
        members[i].wait_for_ring([1, 3])
    members[1].say("safe without two")
    members[3].wait_for_message("safe without two")
    start(2)
    for i in ids:
        members[i].wait_for_ring(ids)
    members[2].say("safe back again")
    for i in ids:
        members[i].wait_for_message("safe back again")

    # The end of input is a clean leave. Nothing was forged or replayed on this machine.
    for i in ids:
        ended = members[i].end_of_input()
        assert ended["forged"] == "0" and ended["replayed"] == "0", ended
        # The first words of each life wait for its proof.
        assert 0 < int(ended["unproved"]) < 100, ended
        assert int(ended["opened"]) + int(ended["unproved"]) == int(ended["received"]), ended
        assert int(ended["sealed"]) > 0, ended
        for j in ids[i:]:
            members[j].wait_for_ring(ids[i:])


END = time.monotonic() + DEADLINE
if __name__ == "__main__":
    running = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run(sys.argv[1], scratch, running)
        finally:
            for member in running.values():
                member.process.kill()
                member.process.wait()
