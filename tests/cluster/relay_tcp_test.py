#!/usr/bin/env python3
"""The fault relay's TCP mode: what stands still behind a cut, what comes after it, and who is told what.

  relay_tcp_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import contextlib
import os
import socket
import struct
import tempfile
import time

import bad_input_harness as h
from bad_input_harness import check, wait_until
from relay_harness import Relay

STREAMS_MAX = 400  # What the relay has at most at a time.
IN_KERNELS_MAX = 64 << 20  # More than the buffers of two connections can hold.


class Link:
    """A relay between nodes 1 and 2, of which 2 listens, and connections over it."""

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.server = self.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        self.server.settimeout(h.DEADLINE)
        self.port = self.server.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            nobody = free.getsockname()[1]  # Node 1 does not listen.
        self.relay = Relay(h.BUILD, os.path.join(self.folder, "relay.sock"),
                           {1: f"127.0.0.1:{nobody}", 2: f"127.0.0.1:{self.port}"}, tcp=True)
        self.stack.callback(self.relay.end)
        return self

    def __exit__(self, *error):
        self.stack.close()

    def connect(self, where=None):
        host, port = (where or self.relay.links[1, 2]).rsplit(":", 1)
        return self.stack.enter_context(socket.create_connection((host, int(port)), h.DEADLINE))

    def accept(self):
        connection = self.stack.enter_context(self.server.accept()[0])
        connection.settimeout(h.DEADLINE)
        return connection

    def pair(self):
        return self.connect(), self.accept()

    def nobody_came(self):
        self.relay.ask("counts")  # What the relay had to do before, it has done.
        self.server.setblocking(False)
        try:
            self.server.accept()
        except BlockingIOError:
            return True
        finally:
            self.server.settimeout(h.DEADLINE)
        return False

    def has_nothing(self, connection):
        self.relay.ask("counts")
        connection.setblocking(False)
        try:
            connection.recv(1)
        except BlockingIOError:
            return True
        finally:
            connection.settimeout(h.DEADLINE)
        return False


def receive(connection, size):
    received = b""
    while len(received) < size and (more := connection.recv(size - len(received))):
        received += more
    return received


def arrives(connection, text):
    check((came := receive(connection, len(text))) == text, f"{text} arrives, and not {came}")


def is_reset(connection):
    """Whether the next thing that happens is that; `connection` is one or makes one."""
    try:
        (connection() if callable(connection) else connection).recv(1)
    except ConnectionResetError:
        return True
    return False


def carries_and_ends():
    with Link() as link:
        one, two = link.pair()
        one.sendall(b"there")
        arrives(two, b"there")
        two.sendall(b"back")
        arrives(one, b"back")
        one.shutdown(socket.SHUT_WR)
        check(two.recv(1) == b"", "the end of one side is carried")
        two.sendall(b"still")
        arrives(one, b"still")
        two.close()
        check(one.recv(1) == b"", "the end of the other side too")

        one, two = link.pair()
        much = os.urandom(3_000_000)
        two.sendall(much[:1000])
        arrives(one, much[:1000])
        one.setblocking(False)
        sent, received = 0, b""
        two.setblocking(False)
        while len(received) < len(much):
            with contextlib.suppress(BlockingIOError):
                sent += one.send(much[sent:]) if sent < len(much) else 0
            with contextlib.suppress(BlockingIOError):
                received += two.recv(65536)
        check(received == much, "much arrives as it was sent")

        check(is_reset(lambda: link.connect(link.relay.links[2, 1])), "a connection to nobody is reset")


def a_cut_stops_one_way():
    with Link() as link:
        one, two = link.pair()
        link.relay.ask("cut 1 2")
        one.sendall(b"later")
        two.sendall(b"now")
        arrives(one, b"now")
        check(link.has_nothing(two), "what is cut stands")
        link.relay.ask("mend 1 2")
        arrives(two, b"later")

        # What is under way already stands too, also when it would be due.
        link.relay.ask("set 1 2 delay_ms=1000")
        before = link.relay.counts()[1, 2]["received"]
        due = time.monotonic() + 1
        one.sendall(b"under way")
        wait_until(lambda: link.relay.counts()[1, 2]["received"] == before + 1, "it is under way")
        due_at_last = time.monotonic() + 1
        link.relay.ask("cut 1 2")
        if time.monotonic() < due:  # Else the machine was too slow for this.
            wait_until(lambda: time.monotonic() > due_at_last, "it is due")
            check(link.has_nothing(two), "what was under way stands")
        link.relay.ask("reset")
        arrives(two, b"under way")

        link.relay.ask("partition 1 2")
        one.sendall(b"a")
        two.sendall(b"b")
        check(link.has_nothing(two) and link.has_nothing(one), "both ways stand")
        one.sendall(b"c")
        link.relay.ask("heal")
        arrives(two, b"ac")
        arrives(one, b"b")


def ends_stand_behind_a_cut_too():
    with Link() as link:
        one, two = link.pair()
        link.relay.ask("cut 2 1")
        two.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        two.close()  # Resets.
        # What comes for the dead is answered by its machine with a reset, which is cut as well.
        for _ in range(3):
            one.sendall(b"to a dead one")
            check(link.has_nothing(one), "it does not hear of the end")
        link.relay.ask("heal")
        check(is_reset(one), "now it does")


def what_stands_is_bounded():
    with Link() as link:
        one, two = link.pair()
        link.relay.ask("cut 1 2")
        one.setblocking(False)
        piece, sent, stuck_since = bytes(65536), 0, None
        while stuck_since is None or time.monotonic() - stuck_since < 0.3:
            try:
                sent += one.send(piece)
                stuck_since = None
                check(sent < IN_KERNELS_MAX, "the relay swallows without end")
            except BlockingIOError:
                stuck_since = stuck_since or time.monotonic()
        link.relay.ask("heal")
        check(len(receive(two, sent)) == sent, "all that stood arrives")


def new_connections_wait():
    for direction in ("1 2", "2 1"):
        with Link() as link:
            link.relay.ask(f"cut {direction}")
            one = link.connect()
            one.sendall(b"first")
            gone = link.connect()
            gone.sendall(b"never")
            gone.close()
            check(link.nobody_came(), "nothing is connected through a cut")
            link.relay.ask("heal")
            two = link.accept()
            arrives(two, b"first")
            check(link.nobody_came(), "who gave up meanwhile does not come any more")


def there_is_always_room_after_a_cut():
    with Link() as link:
        link.relay.ask("partition 1 2")
        for _ in range(STREAMS_MAX):
            link.connect().close()
        kept = link.connect()
        kept.sendall(b"kept")
        link.relay.ask("heal")
        arrives(link.accept(), b"kept")
        pairs = [link.pair() for _ in range(STREAMS_MAX - 1)]
        check(is_reset(link.connect), "one too many is reset")
        pairs[0][0].sendall(b"well")
        arrives(pairs[0][1], b"well")


def late_is_late():
    with Link() as link:
        one, two = link.pair()
        link.relay.ask("set 1 2 delay_ms=30")
        begin = time.monotonic()
        one.sendall(b"late")
        arrives(two, b"late")
        check(time.monotonic() - begin >= 0.03, "it is not early")
        link.relay.ask("reset")
        # What is lost is sent again: it comes, and later than 200 ms.
        link.relay.ask("set 1 2 loss=100")
        begin = time.monotonic()
        one.sendall(b"again")
        wait_until(lambda: link.relay.counts()[1, 2]["lost"] == 5, "it is lost five times")
        arrives(two, b"again")
        check(time.monotonic() - begin >= 0.2, "it is not early")


def proxies():
    with Link() as link:
        def ask(host, port=None):
            connection = link.connect(link.relay.proxies[1])
            connection.sendall(b"\5\1\0")
            arrives(connection, b"\5\0")
            connection.sendall(b"\5\1\0" + host + struct.pack(">H", port or link.port))
            return connection

        for host in (b"\1\0\0\0\0", b"\3\4name", b"\4" + bytes(16)):
            one = ask(host)
            arrives(one, b"\5\0\0\1" + bytes(6))
            two = link.accept()
            one.sendall(b"there")
            arrives(two, b"there")
            two.sendall(b"back")
            arrives(one, b"back")

        link.relay.ask("cut 2 1")
        one = ask(b"\1\0\0\0\0")
        check(link.nobody_came() and link.has_nothing(one), "behind a cut there is no answer")
        link.relay.ask("heal")
        arrives(one, b"\5\0\0\1" + bytes(6))
        link.accept()

        check(ask(b"\1\0\0\0\0", port=1).recv(1) == b"", "a port that is no node's is refused")
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\5\1\2", b"\5\1\0\5\2\0\1\0", b"\5\1\0\5\1\0\7\0",
                         b"\5\xff" + bytes(900)):
            connection = link.connect(link.relay.proxies[1])
            with contextlib.suppress(ConnectionError):
                connection.sendall(nonsense)
            with contextlib.suppress(ConnectionError):
                connection.recv(2)  # The answer to a hello that is well.
                check(connection.recv(1) == b"", f"{nonsense[:9]} is hung up on")
        link.server.close()
        arrives(ask(b"\1\0\0\0\0"), b"\5\5\0\1" + bytes(6))


def mistakes():
    relay = os.path.join(h.BUILD, "tools", "relay")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        command = [relay, "run", "--tcp", "--control", os.path.join(folder, "relay.sock")]
        same = h.run(*command, "--node", "1=127.0.0.1:1", "--node", "2=127.0.0.2:7", "--node", "3=127.0.0.3:7")
        check(same.returncode == 1 and "a port of its own" in same.stderr, f"nodes of one port: {same}")
        port = h.run(*command, "--node", "1=127.0.0.1:1", "--node", "2=127.0.0.1:2", "--base-port",
                     str(taken.getsockname()[1]))
        check(port.returncode == 1 and "address already in use" in port.stderr, f"a port that is taken: {port}")


if __name__ == "__main__":
    h.main([carries_and_ends, a_cut_stops_one_way, ends_stand_behind_a_cut_too, what_stands_is_bounded,
            new_connections_wait, there_is_always_room_after_a_cut, late_is_late, proxies, mistakes])
