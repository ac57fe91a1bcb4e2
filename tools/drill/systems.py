"""The systems that a drill can run, each with the same faults and the same programs."""

import collections

import etcd_locks
import redlock_locks
import ringlock_locks
from etcd_nodes import EtcdNodes
from redis_nodes import RedisNodes, SavingRedisNodes
from ringlock_nodes import RinglockNodes

# leases: in seconds, by profile; the first is what is taken if none is asked for. resources: what the locks protect,
# and whether it compares tokens. program: what has to be installed.
System = collections.namedtuple("System", "name title nodes locks leases shared resources program")

SYSTEMS = {system.name: system for system in (
    System("ringlock", "Ringlock", RinglockNodes, ringlock_locks.Locks, {"fast": 0.7, "default": 2.0}, True,
           {"store": "checks", "plain": "trusts"}, None),
    System("etcd", "etcd", EtcdNodes, etcd_locks.Locks, {"default": float(etcd_locks.TTL_SECONDS)}, False,
           {"store": "checks", "plain": "trusts"}, "etcd"),
    System("redlock", "Redlock on Redis", RedisNodes, redlock_locks.Locks, {"default": redlock_locks.TTL_MS / 1000},
           False, {"plain": "trusts"}, "redis-server"),
    System("redlock-fsync", "Redlock on Redis that saves each write", SavingRedisNodes, redlock_locks.Locks,
           {"default": redlock_locks.TTL_MS / 1000}, False, {"plain": "trusts"}, "redis-server"),
)}


def has_tokens(system):
    return "checks" in system.resources.values()
