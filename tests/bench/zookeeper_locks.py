"""ZooKeeper's locks, by the recipe of Debian's python3-kazoo, with the interface of tools/drill/ringlock_locks.py. A
session lasts as long after its client's last word as the servers allow at the least: two ticks."""

import logging

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, LockTimeout
from kazoo.handlers.threading import KazooTimeoutError

import history
from refused import Refused

SESSION_SECONDS = 4
logging.disable(logging.CRITICAL)  # It tells each loss of a connection, at length.


class Locks:
    """One client of one server."""

    def __init__(self, _build, address):
        self.client = KazooClient(address, timeout=SESSION_SECONDS)
        self.connected = False

    def connect(self):
        if not self.connected:
            try:
                self.client.start(SESSION_SECONDS)
            except KazooTimeoutError:
                return False
        self.connected = True
        return True

    def acquire(self, name, _mode, seconds):
        lock = self.client.Lock(f"/locks/{name}")
        try:
            if lock.acquire(timeout=seconds):
                return lock
        except (KazooException, LockTimeout):
            pass
        raise Refused("error")

    def until(self, _grant):
        """A client is told no time: it believes while it is connected, and here so long that it asks again in time."""
        return history.now() + SESSION_SECONDS * 1_000_000_000 if self.client.connected else 0

    def release(self, lock):
        try:
            lock.release()
            return "ok"
        except KazooException:
            return "error"
