"""etcd's locks for the workers of a drill: its lock service, through the JSON gateway of one member.

A session is a lease that a thread keeps alive each third of its time, also while the client waits for a lock. The time
to live is 2 s, the shortest that etcd grants with the time-outs that it has when nothing is configured.

What a client believes: the lock is its own until the last answer's lease is over, counted from before that answer was
asked for. That is as careful as a client of etcd can be; once the time is over the session is given up, even if a
later answer says that the lease lived on. The token is the revision in which the key of the lock was created; the
client reads it after it has the lock, and has not got the lock if there is no such key any more. A client that gives up
waiting, or is not told how a release ended, revokes its lease.
"""

import base64
import http.client
import json
import threading

import history
from refused import Refused

TTL_SECONDS = 2
ANSWER_SECONDS = 2  # As Ringlock's client waits for its daemon.
REVOKE_SECONDS = 0.5
RETRY_SECONDS = 0.1
LEASE_NOT_FOUND = 5  # The code of etcd's answer.


class Failed(Exception):
    """No answer, or an error; `code` is etcd's, if it is one."""

    def __init__(self, code=None):
        super().__init__()
        self.code = code


class Member:
    """One member of etcd; a connection that is made when it is needed."""

    def __init__(self, address):
        self.address = address
        self.connection = None

    def ask(self, path, question, seconds):
        """TimeoutError if there is no answer in time."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address)
            self.connection.timeout = seconds
            if self.connection.sock is not None:
                self.connection.sock.settimeout(seconds)
            self.connection.request("POST", path, json.dumps(question))
            answer = json.loads(self.connection.getresponse().read())
        except TimeoutError:
            self.close()
            raise
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise Failed from None
        if "error" in answer:
            raise Failed(answer.get("code"))
        return answer.get("result", answer)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Session:
    """A lease, kept alive until it is lost or given up."""

    def __init__(self, address):
        self.member = Member(address)
        before = history.now()
        answer = self.member.ask("/v3/lease/grant", {"TTL": TTL_SECONDS}, ANSWER_SECONDS)
        self.lease = answer["ID"]
        self.told_until = before + int(answer["TTL"]) * 1_000_000_000
        self.over = threading.Event()
        threading.Thread(target=self.keep_alive, daemon=True).start()

    def keep_alive(self):
        pause = TTL_SECONDS / 3
        while not self.over.wait(pause):
            before = history.now()
            try:
                answer = self.member.ask("/v3/lease/keepalive", {"ID": self.lease}, TTL_SECONDS)
            except (Failed, TimeoutError):
                pause = RETRY_SECONDS
            else:
                pause = TTL_SECONDS / 3
                ttl = int(answer.get("TTL", 0))
                if ttl <= 0:
                    self.over.set()
                elif self.until():
                    self.told_until = before + ttl * 1_000_000_000
            self.until()
        self.member.close()

    def until(self):
        """0 if it is over, and once it is so it stays so."""
        until = self.told_until
        if until <= history.now():
            self.over.set()
        return 0 if self.over.is_set() else until


class Grant:
    def __init__(self, session, key, token):
        self.session = session
        self.key = key
        self.token = token


class Locks:
    """One client of one member."""

    def __init__(self, _build, address):
        self.address = address
        self.member = Member(address)
        self.session = None

    def connect(self):
        """Whether there is a session now."""
        if self.session is not None and self.session.until() == 0:
            self.give_up()
        if self.session is None:
            try:
                self.session = Session(self.address)
            except (Failed, TimeoutError):
                return False
        return True

    def acquire(self, name, _mode, seconds):
        try:
            answer = self.member.ask("/v3/lock/lock", {"name": encoded(name), "lease": self.session.lease}, seconds)
            found = self.member.ask("/v3/kv/range", {"key": answer["key"]}, ANSWER_SECONDS).get("kvs")
        except TimeoutError:
            self.give_up()
            raise Refused("timeout") from None
        except Failed as failed:
            self.give_up()
            raise Refused("gone" if failed.code is None else "lost" if failed.code == LEASE_NOT_FOUND
                          else "error") from None
        if not found:
            self.give_up()
            raise Refused("lost")
        return Grant(self.session, answer["key"], int(found[0]["create_revision"]))

    def until(self, grant):
        """The instant until which the lock may be relied on, 0 if it is not held."""
        return grant.session.until()

    def release(self, grant):
        try:
            self.member.ask("/v3/lock/unlock", {"key": grant.key}, ANSWER_SECONDS)
            return "ok"
        except (Failed, TimeoutError):
            self.give_up()
            return "gone"

    def give_up(self):
        """Ends the session, for etcd too if it can be told: its locks are free then."""
        if self.session is None:
            return
        self.session.over.set()
        try:
            self.member.ask("/v3/lease/revoke", {"ID": self.session.lease}, REVOKE_SECONDS)
        except (Failed, TimeoutError):
            pass
        self.session = None

    def close(self):
        self.give_up()
        self.member.close()


def encoded(name):
    return base64.b64encode(name.encode()).decode()
