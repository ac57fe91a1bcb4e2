#!/usr/bin/env python3
"""A client of tests/bench/lock_failover. Prints when it asks, and when it has been granted, on CLOCK_BOOTTIME.

  failover_client.py SYSTEM BUILD ADDRESS hold|wait|cycle

hold takes the lock "held" and keeps it; wait waits for it; cycle takes and gives back the lock "free" all the time.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "tools", "drill")]

from history import now
from refused import Refused

WAIT_SECONDS = 60


def locks_of(system):
    if system == "zookeeper":
        from zookeeper_locks import Locks
    elif system == "etcd":
        from etcd_locks import Locks
    else:
        from ringlock_locks import Locks
    return Locks


def say(what):
    print(now(), what, flush=True)


def acquired(locks, name):
    """The grant, however often it has to be asked for."""
    while True:
        if locks.connect():
            try:
                grant = locks.acquire(name, "EX", WAIT_SECONDS)
            except Refused:
                continue
            if locks.until(grant) > now():
                return grant


def main(system, build, address, task):
    locks = locks_of(system)(build, address)
    if task == "cycle":
        while True:
            grant = acquired(locks, "free")
            say("granted")
            locks.release(grant)
    say("asks")
    grant = acquired(locks, "held")
    say("granted")
    while locks.until(grant) > 0:  # Keeps it alive, until somebody ends us.
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
