"""Redlock for the workers of a drill, as it is published: the same key with a value of one's own in a majority of
independent Redis servers, for a while.

What a client believes: from before the first server was asked, for the time to live less the drift (a hundredth of it
and 2 ms). An extension counts if a majority makes it before the lock is over; it is tried when half of the time is
over.

Redlock has no tokens. For the history, which wants a number of each grant, it is the instant at which the client
counted its majority, by the clock that all histories of one machine are written by. No two machines have such a clock,
so that this is nothing that a resource could be given to compare.
"""

import os
import random
import time

import history
from refused import Refused
from resp import Redis, RedisError

TTL_MS = 2000
DRIFT_MS = TTL_MS // 100 + 2
SERVER_SECONDS = 0.05  # What a server gets for an answer, much less than the lock lasts.
RETRY_SECONDS = (0.05, 0.2)

RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
EXTEND = ("if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) "
          "else return 0 end")


class Grant:
    def __init__(self, name, value, token, until):
        self.name = name
        self.value = value
        self.token = token
        self.until = until


class Locks:
    """One client of all servers."""

    def __init__(self, _build, addresses):
        self.servers = [Redis(address, SERVER_SECONDS) for address in addresses.split(",")]
        self.majority = len(self.servers) // 2 + 1

    def connect(self):
        return True  # Each server by itself, when it is asked.

    def count(self, wanted, *command):
        """How many servers answer as it is wanted; asked one after another, as it is published."""
        good = 0
        for server in self.servers:
            try:
                good += server.ask(*command) == wanted
            except (OSError, RedisError):
                pass
        return good

    def acquire(self, name, _mode, seconds):
        deadline = time.monotonic() + seconds
        while True:
            value = os.urandom(20).hex()
            until = self.lasts_until()
            good = self.count(b"OK", "SET", name, value, "NX", "PX", TTL_MS)
            now = history.now()
            if good >= self.majority and now < until:
                return Grant(name, value, now, until)
            self.count(1, "EVAL", RELEASE, 1, name, value)
            pause = random.uniform(*RETRY_SECONDS)
            if time.monotonic() + pause >= deadline:
                raise Refused("timeout")
            time.sleep(pause)

    def lasts_until(self):
        """Until when a lock may be relied on that is asked for now."""
        return history.now() + (TTL_MS - DRIFT_MS) * 1_000_000

    def until(self, grant):
        """The instant until which the lock may be relied on, 0 if it is not held. Extends it."""
        until = self.lasts_until()
        if 0 < grant.until - history.now() < TTL_MS * 1_000_000 // 2:
            good = self.count(1, "EVAL", EXTEND, 1, grant.name, grant.value, TTL_MS)
            if good >= self.majority and history.now() < grant.until:
                grant.until = until
        return grant.until if history.now() < grant.until else 0

    def release(self, grant):
        good = self.count(1, "EVAL", RELEASE, 1, grant.name, grant.value)
        return "ok" if good >= self.majority else "gone"

    def close(self):
        for server in self.servers:
            server.close()
