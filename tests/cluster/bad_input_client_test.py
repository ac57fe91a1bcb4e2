#!/usr/bin/env python3
"""Bad clients of a real daemon: none of them harms it, or anybody else's lock.

  bad_input_client_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import os
import random
import socket
import struct

import bad_input_harness as h
from bad_input_harness import check

RANDOM = random.Random(1)

SESSIONS_OF_A_USER = 256
CONNECTIONS_OF_A_USER = 1200
CONNECTIONS = 4096
LOCKS_OF_A_SESSION = 65536


def check_hangs_up(connection):
    """The daemon may have words first."""
    while connection.read() is not None:
        pass


def garbage():
    with h.Cluster(1) as cluster, h.holder(cluster, 1, "precious"):
        good = h.acquire(1, b"x")
        bad_streams = [
            b"\0\0\0\0",                                       # A frame of nothing.
            b"\xff\xff\xff\xff",                               # A frame of 4 GiB.
            struct.pack("<I", 24577) + bytes(24577),           # One byte more than a request may have.
            h.frame(0),
            h.frame(99),
            h.frame(h.WELCOME),                                # What only the daemon says.
            good,                                              # No Hello before it.
            h.hello(7),
            h.hello(h.OPEN) + h.hello(h.OPEN),
            h.hello(h.QUERY) + good,                           # No session to have a lock in.
            h.hello(h.OPEN) + good[:4] + bytes(len(good) - 4),
            h.hello(h.OPEN) + struct.pack("<I", 30) + good[4:34],
            h.hello(h.OPEN) + h.acquire(1, b""),
            h.hello(h.OPEN) + h.acquire(1, bytes(256)),
            h.hello(h.OPEN) + h.acquire(1, b"x", lockspace=b""),
            h.hello(h.OPEN) + h.acquire(1, b"x", lockspace=bytes(65)),
            h.hello(h.OPEN) + h.frame(h.ACQUIRE, good[5:] + b"\0"),
        ]
        for stream in bad_streams:
            with h.Connection(cluster.socket(1)) as connection:
                connection.send(stream)
                kinds = []
                while (message := connection.read()) is not None:
                    kinds.append(message[0])
                    last = message
                check(kinds and kinds[-1] == h.REFUSED, f"{stream[:40]} is refused in words, not by {kinds}")
                check(last[1][0] == h.MALFORMED_REFUSAL and len(last[1]) > 3, f"{stream[:40]} is said to be malformed")

        with h.Connection(cluster.socket(1)) as connection:
            connection.send(h.hello(h.OPEN, version=77))
            reason, advice = connection.read_refusal()
            check(reason == h.VERSION_REFUSAL and "version" in advice, f"the version is refused: {advice}")

        for _ in range(300):
            with h.Connection(cluster.socket(1)) as connection:
                stream = RANDOM.choice([b"", h.hello(h.OPEN), h.hello(h.QUERY)]) + RANDOM.randbytes(RANDOM.randint(1, 300))
                try:
                    connection.send(stream)
                    connection.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # It has hung up already.
                check_hangs_up(connection)
        # One bit of a good stream changed.
        whole = h.hello(h.OPEN) + good + h.release(2, 1, 5, acknowledged=1)
        for _ in range(300):
            bad = bytearray(whole)
            bad[RANDOM.randrange(len(bad))] ^= 1 << RANDOM.randrange(8)
            with h.Connection(cluster.socket(1)) as connection:
                try:
                    connection.send(bytes(bad))
                    connection.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                check_hangs_up(connection)
        cluster.check_well()


def names():
    with h.Cluster(1) as cluster:
        with h.session(cluster, 1) as client:
            for request, name in enumerate([b"\0", bytes(range(256))[1:], b"\xff" * 255, b"a/b\n"], start=1):
                client.send(h.acquire(request, name))
                check(client.read_reply()[:2] == (request, h.GRANTED), f"{name[:8]} is a good name")
        for name in ["", "a\nb", "\x1b[2J", "n" * 256, "\udcff"]:
            ended = cluster.lockctl(1, "run", name, "--", "true")
            check(ended.returncode == 64, f"lockctl refuses {name[:8]!r} with 64, not {ended.returncode}")
            check("name" in ended.stderr and "\x1b" not in ended.stderr, f"lockctl says why: {ended.stderr!r}")
        check(cluster.lockctl(1, "run", "n" * 255, "--", "true").returncode == 0, "255 bytes are a good name")


def release_of_what_is_not_held():
    with h.Cluster(1) as cluster, h.session(cluster, 1) as client, h.session(cluster, 1) as other:
        def reply_to(connection, request):
            connection.send(request)
            return connection.read_reply()

        check(reply_to(client, h.release(1, 77, 1))[1] == h.NOT_HELD, "never acquired")
        _, answer, token, _ = reply_to(client, h.acquire(2, b"mine"))
        check(answer == h.GRANTED, "granted")
        check(reply_to(client, h.release(3, 2, token + 1))[1] == h.NOT_HELD, "held, but with another token")
        check(reply_to(other, h.release(1, 2, token))[1] == h.NOT_HELD, "held by another session")
        check(cluster.status(1)["locks"] == 1, "none of this released it")
        check(reply_to(client, h.release(4, 2, token))[1] == h.RELEASED, "released by its holder")
        check(reply_to(client, h.release(5, 2, token))[1] == h.NOT_HELD, "released already")


def a_client_that_stops_reading():
    with h.Cluster(1) as cluster, h.holder(cluster, 1, "precious"), h.session(cluster, 1) as reader:
        before = cluster.resident_kib(1)
        with h.session(cluster, 1) as deaf:
            # More questions than all buffers between us can have answers.
            questions = b"".join(h.frame(h.STATUS, struct.pack("<I", n)) for n in range(1000))
            sent, request = 0, 0
            try:
                while sent < 1000:
                    deaf.send(questions)
                    sent += 1
                    request += 1
                    reader.send(h.acquire(request, b"other %d" % request, acknowledged=request - 1))
                    check(reader.read_reply()[1] == h.GRANTED, "others are served meanwhile")
            except (BrokenPipeError, ConnectionResetError):
                pass
            check(sent < 1000, "the daemon hangs up on a client that does not read")
        grown = cluster.resident_kib(1) - before
        check(grown < 16 * 1024, f"the daemon has grown by {grown} KiB")
        cluster.check_well()


def a_client_that_says_nothing():
    with h.Cluster(1) as cluster, h.Connection(cluster.socket(1)) as silent, h.Connection(cluster.socket(1)) as slow:
        slow.send(h.hello(h.OPEN)[:9])
        for connection in (silent, slow):
            check_hangs_up(connection)
        cluster.check_well()


def a_thousand_connections():
    with h.Cluster(1) as cluster, h.holder(cluster, 1, "precious"):
        connections = []

        def connect(kind):
            connection = h.Connection(cluster.socket(1))
            connections.append(connection)
            connection.send(h.hello(kind))
            return connection.read_until(h.WELCOME) if kind == h.QUERY else connection

        try:
            for _ in range(1000):
                connect(h.QUERY)
            sessions = 1  # The holder's.
            while True:
                client = connect(h.OPEN)
                kind, body = client.read()
                while kind == 68:
                    kind, body = client.read()
                if kind != h.WELCOME:
                    break
                sessions += 1
                if sessions == 150:  # Leave room for the connections that are limited by themselves.
                    for connection in connections[:500]:
                        connection.socket.close()
            check(sessions == SESSIONS_OF_A_USER, f"{sessions} sessions of one user were opened")
            check(kind == h.REFUSED and body[0] == h.LIMIT_REFUSAL, "the next session is refused")
            advice = body[3:].decode()
            check("256 sessions" in advice and "close" in advice, f"the refusal says what to do: {advice}")

            refused = cluster.lockctl(1, "run", "other", "-n", "--", "true")
            check(refused.returncode != 0 and "limit" in refused.stderr, f"lockctl says so too: {refused.stderr}")
        finally:
            for connection in connections:
                connection.socket.close()
        # Everything is free again.
        h.wait_until(lambda: cluster.status(1)["sessions"] == 1, "the sessions end with their connections")
        check(cluster.lockctl(1, "run", "other", "-n", "--", "true").returncode == 0, "there is room again")

        connections = []
        try:
            for _ in range(CONNECTIONS_OF_A_USER):
                connection = h.Connection(cluster.socket(1))
                connections.append(connection)
                try:
                    connection.send(h.hello(h.QUERY))
                except BrokenPipeError:
                    pass  # Refused before that; the reason can still be read.
                message = connection.read()
                if message is None or message[0] != h.WELCOME:
                    break
            check(message is not None and message[0] == h.REFUSED, "one user can not have all connections")
            advice = message[1][3:].decode()
            check("connections" in advice and "close" in advice, f"the refusal says what to do: {advice}")
            check(len(connections) > 1000, f"only after {len(connections)} connections")
        finally:
            for connection in connections:
                connection.socket.close()
        cluster.check_well()


def too_many_locks():
    with h.Cluster(1) as cluster, h.holder(cluster, 1, "precious"):
        with h.session(cluster, 1) as client:
            batch = 100
            request = 0
            answer, advice = h.GRANTED, ""
            while answer == h.GRANTED and request < LOCKS_OF_A_SESSION + batch:
                first = request + 1
                client.send(b"".join(h.acquire(first + i, b"lock %d" % (first + i), acknowledged=request)
                                     for i in range(batch)))
                for i in range(batch):
                    got, answer, _, advice = client.read_reply()
                    if answer != h.GRANTED:
                        break
                    request = got
            check(answer == h.LIMIT, f"after {request} locks the answer is {answer}")
            check(request == LOCKS_OF_A_SESSION, f"{request} locks of one session were granted")
            check(len(advice) > 10, f"the refusal says what to do: {advice!r}")
        h.wait_until(lambda: cluster.status(1)["locks"] == 1, "the locks go with their session")
        cluster.check_well()


class Honest:
    """Somebody who takes and gives back locks as one should, while others misbehave."""

    def __init__(self, cluster, node=1):
        self.session, self.request, self.kept = h.session(cluster, node), 0, None

    def __enter__(self):
        self.kept = self.acquire(b"kept")
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.work(1)
            check(self.release(*self.kept) == h.RELEASED, "what was kept all the time was held until now")
        self.session.socket.close()

    def acquire(self, name):
        self.request += 1
        self.session.send(h.acquire(self.request, name, acknowledged=self.request - 1))
        request, answer, token, _ = self.session.read_reply()
        check((request, answer) == (self.request, h.GRANTED), f"honest work goes on: {answer}")
        return request, token

    def release(self, lock, token):
        self.request += 1
        self.session.send(h.release(self.request, lock, token, acknowledged=self.request - 1))
        return self.session.read_reply()[1]

    def work(self, cycles):
        for _ in range(cycles):
            check(self.release(*self.acquire(b"turn")) == h.RELEASED, "released")


def send_what_goes(connection, data):
    """Sends without waiting for a reader. False when the other side has hung up."""
    connection.socket.setblocking(False)
    try:
        connection.socket.send(data)
    except BlockingIOError:
        pass
    except (BrokenPipeError, ConnectionResetError):
        return False
    finally:
        connection.socket.settimeout(h.DEADLINE)
    return True


def ids_of_others():
    """A session's locks are its own, whoever knows their numbers and tokens; and its secret is not enough."""
    with h.Cluster(1) as cluster, h.Connection(cluster.socket(1)) as victim, h.session(cluster, 1) as thief:
        instance = os.urandom(16)
        victim.send(h.frame(h.HELLO, struct.pack("<HB", 1, h.OPEN) + instance + h.text(b"victim") + h.STAMP))
        welcome = victim.read_until(h.WELCOME)
        session, secret = struct.unpack_from("<Q", welcome, 7)[0], welcome[15:31]
        generation = struct.unpack_from("<Q", welcome, 31)[0]

        def reply_to(connection, request):
            connection.send(request)
            return connection.read_reply()

        _, answer, token, _ = reply_to(victim, h.acquire(1, b"held"))
        check(answer == h.GRANTED, "granted")
        with h.holder(cluster, 1, "wanted"):
            check(reply_to(victim, h.acquire(2, b"wanted", no_queue=False))[1] == 2, "the victim waits, too")
            for request, attack, wanted in ((1, h.release(1, 1, token), h.NOT_HELD),
                                            (2, h.release(2, 1, token, flags=h.FORCE), h.NOT_HELD),
                                            (3, h.release(3, 2, 0, flags=h.FORCE), h.NOT_HELD),
                                            (4, h.convert(4, 1, 0), h.NOT_HELD),
                                            (5, h.cancel(5, 2), h.NOT_WAITING)):
                check(reply_to(thief, attack)[:2] == (request, wanted), f"request {request} of another session's lock")
            status = cluster.status(1)
            check((status["locks"], status["waiting"]) == (3, 1), f"nothing of that has had an effect: {status}")
            check(reply_to(victim, h.cancel(3, 2))[1] == 4, "the victim has its wait")
        for how, hello in (("another secret", h.resume(session, os.urandom(16), generation, instance)),
                           ("another process", h.resume(session, secret, generation, os.urandom(16))),
                           ("another session", h.resume(session + 1, secret, generation, instance))):
            with h.Connection(cluster.socket(1)) as connection:
                connection.send(hello)
                message = connection.read()
                while message[0] == h.STATE:
                    message = connection.read()
                check(message[0] == h.REFUSED and message[1][0] == h.LOST_REFUSAL, f"resumed with {how}: {message}")
        check(reply_to(victim, h.release(4, 1, token))[1] == h.RELEASED, "the victim has its lock and its connection")


def halves_that_never_end():
    with h.Cluster(1) as cluster, Honest(cluster) as honest:
        before = cluster.resident_kib(1)
        whole = h.acquire(1, b"x" * 255)
        longest = struct.pack("<I", 24576) + bytes([h.ACQUIRE]) + bytes(24570)  # A byte is missing.
        halves = []
        try:
            for i in range(200):
                halves.append(h.session(cluster, 1))
                halves[-1].send(longest if i % 2 else whole[:RANDOM.randrange(1, len(whole))])
                honest.work(1)
            grown = cluster.resident_kib(1) - before
            check(grown < 16 * 1024, f"the daemon has grown by {grown} KiB")
            status = cluster.status(1)
            check(status["sessions"] == 201, f"they count as what they are, sessions: {status['sessions']}")
            # Byte by byte is slow, but right.
            for byte in whole[len(whole) - 1:]:
                slow = h.session(cluster, 1)
                halves.append(slow)
                for one in whole[:-1]:
                    slow.send(bytes([one]))
                slow.send(bytes([byte]))
                check(slow.read_reply()[1] == h.GRANTED, "a request in pieces of one byte is a request")
        finally:
            for connection in halves:
                connection.socket.close()
        h.wait_until(lambda: cluster.status(1)["sessions"] == 1, "they end with their connections")
        cluster.check_well()


def floods():
    """Of requests that nobody may have so many of, of questions, of connections, and of events for the deaf."""
    with h.Cluster(1) as cluster, Honest(cluster) as honest:
        before, first = cluster.resident_kib(1), cluster.status(1)["counters"]
        acquires = b"".join(h.acquire(n, b"flood %d" % (n % 7), no_queue=False) for n in range(1, 500))
        questions = b"".join(h.frame(h.STATUS, struct.pack("<I", n)) for n in range(500))
        alive = b"".join(h.frame(h.KEEPALIVE, struct.pack("<Q", 0) + h.STAMP) for _ in range(500))
        kinds = [(h.OPEN, acquires), (h.OPEN, alive), (h.QUERY, questions), (h.OPEN, h.watch() * 100),
                 (h.QUERY, RANDOM.randbytes(4096))]
        flooders = [None] * len(kinds)
        deaf = h.session(cluster, 1)
        deaf.send(h.watch())
        ended = 0
        try:
            for _ in range(1500):
                for i, (kind, data) in enumerate(kinds):
                    if flooders[i] is None:
                        flooders[i] = h.Connection(cluster.socket(1))
                        flooders[i].send(h.hello(kind))
                    if not send_what_goes(flooders[i], data):
                        flooders[i].socket.close()
                        flooders[i] = None
                        ended += 1
                h.Connection(cluster.socket(1)).socket.close()
                honest.work(1)
            grown = cluster.resident_kib(1) - before
            check(grown < 24 * 1024, f"the daemon has grown by {grown} KiB")
            check(ended > 20, f"flooders are hung up on: {ended}")
            now = cluster.status(1)["counters"]
            for name in ("connections_refused", "clients_malformed", "clients_slow", "watch_events_lost"):
                check(now[name] > first[name], f"{name} tells of it: {now[name]}")
            check(now["watchers"] >= 1, "who does not read what he watches is not hung up on")
        finally:
            for connection in [*flooders, deaf]:
                if connection is not None:
                    connection.socket.close()
        h.wait_until(lambda: cluster.status(1)["sessions"] == 1, "nothing is left of the flooders")
        cluster.check_well()


def all_connections():
    """As many as the daemon takes, by four users: those that it has are served all the same."""
    if os.geteuid() != 0:
        print("  all_connections: skipped, it needs root to be several users")
        return
    with h.Cluster(1) as cluster, Honest(cluster) as honest:
        for folder in (cluster.parent, cluster.folder):
            os.chmod(folder, 0o755)
        os.chmod(cluster.socket(1), 0o666)
        before, connections, refused = cluster.resident_kib(1), [], []
        try:
            for number in range(CONNECTIONS + 50):
                user = 40000 + number // 1100
                os.seteuid(user)
                try:
                    connection = h.Connection(cluster.socket(1))
                finally:
                    os.seteuid(0)
                connections.append(connection)
                try:
                    connection.send(h.hello(h.QUERY))
                except BrokenPipeError:
                    pass
                message = connection.read()
                if message is None or message[0] != h.WELCOME:
                    refused.append(message)
                if number % 200 == 0:
                    honest.work(5)
            check(len(refused) >= 50, f"{len(refused)} of {len(connections)} were refused")
            check(all(message and message[1][0] == h.LIMIT_REFUSAL for message in refused), "with the reason")
            honest.work(100)
            grown = cluster.resident_kib(1) - before
            check(grown < 32 * 1024, f"the daemon has grown by {grown} KiB")
        finally:
            for connection in connections:
                connection.socket.close()
        check(cluster.counter(1, "connections_refused") >= 50, "the refusals are counted")
        cluster.check_well()


def no_daemon():
    missing = "/nonexistent/lockd.sock"
    ended = h.run(h.LOCKCTL, "--socket", missing, "run", "x", "-n", "--", "true")
    check(ended.returncode == 69, f"no daemon is 69, not {ended.returncode}")
    check(missing in ended.stderr, f"lockctl says where it looked: {ended.stderr}")
    check(not os.path.exists(missing), "and nothing is made")


h.main([garbage, names, release_of_what_is_not_held, a_client_that_stops_reading, a_client_that_says_nothing,
        a_thousand_connections, too_many_locks, ids_of_others, halves_that_never_end, floods, all_connections, no_daemon])
