#!/usr/bin/env python3
"""A client of a drill: takes locks, uses the resources under them, gives them back, and records all of it.

  worker.py NAME FOLDER SEED LOCKS SYSTEM BUILD ADDRESS RESOURCE=SOCKET...

Each choice is drawn from SEED. It works until SIGTERM, and then ends what it is at. Before each use it asks whether the
lock is still held; between that and the use it may be stopped for any time, as any program may.
"""

import json
import random
import signal
import socket
import sys
import time

from history import Recorder, now
from refused import Refused
from systems import SYSTEMS

ACQUIRE_SECONDS = 5
SHARED_SHARE = 0.25
USES_MAX = 4
LONG_SHARE = 0.1  # Of the turns, in which a lock is kept for many uses.
LONG_USES = 100
LINGER_SECONDS = 0.02


class Worker:
    def __init__(self, name, folder, seed, locks, system, client, resources):
        self.shared_share = SHARED_SHARE if system.shared else 0
        self.random = random.Random(seed)
        self.names = [f"lock{number}" for number in range(locks)]
        self.locks = client
        self.resources = resources
        self.name = name
        self.recorder = Recorder(folder, name)
        self.op = 0
        self.over = False

    def record(self, event, at=None, **what):
        self.recorder.write(at, client=self.name, event=event, **what)

    def invoke(self, **what):
        self.op += 1
        self.record("invoke", op=self.op, **what)
        return self.op

    def run(self):
        self.record("begin")
        while not self.over:
            if self.locks.connect():
                self.turn()
            else:
                time.sleep(0.05)
        self.locks.close()
        self.record("end")

    def turn(self):
        lock = self.random.choice(self.names)
        mode = "PR" if self.random.random() < self.shared_share else "EX"
        op = self.invoke(call="acquire", lock=lock, mode=mode)
        try:
            grant = self.locks.acquire(lock, mode, ACQUIRE_SECONDS)
        except Refused as refused:
            return self.record("return", op=op, result=str(refused))
        # What is asked right here is what the call returned with: no belief begins before this line.
        at, until = now(), self.locks.until(grant)
        if until <= at:
            self.record("return", op=op, result="lost")
            self.locks.release(grant)
            return
        self.record("return", at, op=op, result="ok", token=grant.token, until=until)
        if self.use(lock, mode, grant, until):
            op = self.invoke(call="release", lock=lock, token=grant.token)
            self.record("return", op=op, result=self.locks.release(grant))
        else:
            self.locks.release(grant)

    def use(self, lock, mode, grant, until):
        """False if the lock is lost meanwhile."""
        uses = LONG_USES if self.random.random() < LONG_SHARE else self.random.randint(1, USES_MAX)
        for _ in range(uses):
            at, told = now(), self.locks.until(grant)
            if told == 0:
                self.record("lost", at, lock=lock, token=grant.token)
                return False
            if told != until:
                until = told
                self.record("valid", at, lock=lock, token=grant.token, until=until)
            # A program that computes what it is about to write, or is not given the processor for a while.
            time.sleep(self.random.uniform(0, LINGER_SECONDS))
            for resource in self.resources:
                resource.use(self, "read" if mode == "PR" else "write", lock, grant.token)
        return True


class Resource:
    """A resource as its client sees it. One that is gone is tried again at the next use."""

    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.stream = None

    def use(self, worker, call, lock, token):
        op = worker.invoke(call=call, resource=self.name, lock=lock, token=token)
        worker.record("return", op=op, result=self.ask(
            {"call": call, "lock": lock, "token": token, "client": worker.name, "op": op}))

    def ask(self, request):
        try:
            if self.stream is None:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(self.path)
                self.stream = connection.makefile("rwb", buffering=0)
            self.stream.write(json.dumps(request).encode() + b"\n")
            answer = self.stream.readline()
        except OSError:
            answer = b""
        if answer == b"applied\n":
            return "ok"
        if answer == b"refused\n":
            return "refused"
        self.stream = None
        return "gone"


def main(name, folder, seed, locks, system, build, address, *resources):
    system = SYSTEMS[system]
    worker = Worker(name, folder, int(seed), int(locks), system, system.locks(build, address),
                    [Resource(*resource.split("=", 1)) for resource in resources])

    def end(*_):
        worker.over = True

    signal.signal(signal.SIGTERM, end)
    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
