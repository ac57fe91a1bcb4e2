"""As much of the protocol of Redis as locks need: a command of strings, and an answer of one line or one string."""

import socket


class RedisError(Exception):
    """The server answered with an error, or with what is not understood here."""


class Redis:
    """A server at "HOST:PORT". It is connected when it is asked, and again after a failure."""

    def __init__(self, address, seconds):
        host, port = address.rsplit(":", 1)
        self.address = host, int(port)
        self.seconds = seconds  # For each step: connecting, sending, a piece of the answer.
        self.connection = None
        self.stream = None

    def ask(self, *words):
        """The answer: bytes, a number or None. OSError if there is none in time: what the command did is not known, and
        its answer may come when nobody listens any more."""
        try:
            if self.connection is None:
                self.connection = socket.create_connection(self.address, self.seconds)
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.stream = self.connection.makefile("rb")
            encoded = [str(word).encode() for word in words]
            self.connection.sendall(b"*%d\r\n" % len(encoded) +
                                    b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
            return self.answer()
        except OSError:
            self.close()
            raise

    def answer(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return self.stream.read(size + 2)[:-2] if size >= 0 else None
        if kind != b"-":
            self.close()
        raise RedisError(rest.decode(errors="replace"))

    def close(self):
        if self.connection is not None:
            self.stream.close()
            self.connection.close()
        self.connection = None
