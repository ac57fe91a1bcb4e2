"""What the tests of bad input stand on: a cluster of real daemons, a holder of a lock who notices when it is lost,
the client protocol spoken byte by byte, and the sealing of datagrams, written anew from docs/wire.md."""

import contextlib
import hashlib
import hmac
import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.environ.get("RINGLOCK_BUILD") or os.path.join(ROOT, "build")
LOCKD = os.path.join(BUILD, "lockd", "lockd")
LOCKCTL = os.path.join(BUILD, "tools", "lockctl")
CLUSTER = os.path.join(ROOT, "tools", "cluster")

DEADLINE = 120  # Seconds for one awaited thing; a loaded machine may need some.


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        check(time.monotonic() < end, f"deadline: {what}")
        time.sleep(0.02)


def run(*command, **options):
    """Runs a program to its end and answers what it said."""
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=DEADLINE, **options)


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ---- Daemons ----

class Cluster:
    """Daemons of tools/cluster in a folder of their own; all end with the `with`."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        self.parent = tempfile.mkdtemp(prefix="ringlock-")
        self.folder = os.path.join(self.parent, "cluster")
        try:
            self.tool("up", str(self.count), self.folder)
        except BaseException:
            shutil.rmtree(self.parent, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            for node in range(1, self.count + 1):
                with open(self.path(f"{node}.log"), encoding="utf-8", errors="replace") as file:
                    sys.stderr.write(f"--- the last words of node {node}\n" + "".join(file.readlines()[-15:]))
        self.tool("down", self.folder)
        shutil.rmtree(self.parent, ignore_errors=True)

    def tool(self, *arguments):
        ended = run(CLUSTER, *arguments, env={**os.environ, "RINGLOCK_BUILD": BUILD})
        check(ended.returncode == 0, f"tools/cluster {' '.join(arguments)}: {ended.stderr}")

    def restart_with(self, timing):
        """All daemons anew, with this in their [timing]."""
        for node in range(1, self.count + 1):
            self.tool("kill", self.folder, str(node))
            with open(self.path(f"{node}.toml"), "a", encoding="utf-8") as file:
                file.write(f"[timing]\n{timing}\n")
        for node in range(1, self.count + 1):
            self.tool("start", self.folder, str(node))
        for node in range(1, self.count + 1):
            wait_until(lambda n=node: self.lockctl(n, "status").returncode == 0 and self.status(n)["state"] == "active",
                       f"node {node} serves again")

    def path(self, name):
        return os.path.join(self.folder, name)

    def socket(self, node):
        return self.path(f"{node}.sock")

    def log(self, node):
        with open(self.path(f"{node}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def pid(self, node):
        with open(self.path(f"{node}.pid"), encoding="ascii") as file:
            return int(file.read())

    def resident_kib(self, node):
        with open(f"/proc/{self.pid(node)}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def lockctl(self, node, *arguments, **options):
        return run(LOCKCTL, "--socket", self.socket(node), *arguments, **options)

    def status(self, node):
        answer = self.lockctl(node, "--json", "status")
        check(answer.returncode == 0, f"node {node} does not answer: {answer.stderr}")
        return json.loads(answer.stdout)

    def counter(self, node, name):
        return self.status(node)["counters"][name]

    def configuration(self, node):
        with open(self.path(f"{node}.toml"), encoding="utf-8") as file:
            return file.read()

    def addresses(self):
        """(host, port) of each node."""
        lines = [line for line in self.configuration(1).splitlines() if line.startswith("addresses")]
        texts = [line.split('"')[1].rsplit(":", 1) for line in lines]
        return [(host, int(port)) for host, port in texts]

    def check_well(self):
        """All daemons are the ones that were started, and in the primary component."""
        for node in range(1, self.count + 1):
            os.kill(self.pid(node), 0)
            wait_until(lambda n=node: self.status(n)["primary"], f"node {node} is in the primary component")


@contextlib.contextmanager
def holder(cluster, node, name):
    """Somebody who holds a lock all the time, and would be ended with 79 if it was lost."""
    command = [LOCKCTL, "--socket", cluster.socket(node), "run", name, "--", "sh", "-c", "echo held; cat"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        check(process.stdout.readline() == "held\n", "the lock is granted")
        yield
        check(process.poll() is None, f"the holder of {name} ended with {process.poll()}")
        process.stdin.close()
        check(process.wait(timeout=DEADLINE) == 0, f"the holder of {name} ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# ---- The client protocol ----

QUERY, OPEN, RESUME = 0, 1, 2
HELLO, ACQUIRE, RELEASE, CANCEL, KEEPALIVE, SHOW, STATUS, CONVERT, WATCH = 1, 2, 3, 4, 5, 8, 9, 18, 24
WELCOME, REFUSED, REPLY, STATE = 65, 66, 67, 68
GRANTED, RELEASED, NOT_HELD, NOT_WAITING, LIMIT = 1, 5, 6, 7, 9
VERSION_REFUSAL, MALFORMED_REFUSAL, LOST_REFUSAL, LIMIT_REFUSAL = 1, 2, 3, 4
FORCE = 0x20000

STAMP = struct.pack("<QQ", 1, 1)


def text(value):
    return struct.pack("<H", len(value)) + value


def frame(kind, body=b""):
    return struct.pack("<IB", 1 + len(body), kind) + body


def hello(kind, version=1):
    return frame(HELLO, struct.pack("<HB", version, kind) + os.urandom(16) + text(b"bad input") + STAMP)


def acquire(request, name, acknowledged=0, lockspace=b"default", no_queue=True):
    return frame(ACQUIRE, struct.pack("<QQ", request, acknowledged) + STAMP + struct.pack("<BIQI", 5, no_queue, 0, 0) +
                 text(lockspace) + text(name))


def release(request, lock, token, acknowledged=0, flags=0):
    return frame(RELEASE, struct.pack("<QQ", request, acknowledged) + STAMP + struct.pack("<QQIB", lock, token, flags, 0))


def cancel(request, lock, acknowledged=0):
    return frame(CANCEL, struct.pack("<QQ", request, acknowledged) + STAMP + struct.pack("<Q", lock))


def convert(request, lock, mode, acknowledged=0):
    return frame(CONVERT, struct.pack("<QQ", request, acknowledged) + STAMP + struct.pack("<QBIIB", lock, mode, 0, 0, 0))


def resume(session, secret, generation, instance):
    return frame(HELLO, struct.pack("<HB", 1, RESUME) + instance + text(b"bad input") + STAMP +
                 struct.pack("<Q", session) + secret + struct.pack("<Q", generation))


def watch(query=1, events=0x7ff):
    return frame(WATCH, struct.pack("<II", query, events) + text(b"") + text(b"") + b"\0")


class Connection:
    """A connection that says what it likes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)
        self.bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next message as (type, body); None at the end of the stream."""
        while len(self.bytes) < 4 or len(self.bytes) < 4 + struct.unpack_from("<I", self.bytes)[0]:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.bytes += more
        length = struct.unpack_from("<I", self.bytes)[0]
        kind, body, self.bytes = self.bytes[4], self.bytes[5:4 + length], self.bytes[4 + length:]
        return kind, body

    def read_until(self, kind):
        """The body of the next message of this type; what comes before it is skipped."""
        while True:
            message = self.read()
            check(message is not None, f"the daemon hung up instead of sending a message of type {kind}")
            check(message[0] in (kind, 68), f"message of type {message[0]} ({message[1]}) instead of {kind}")
            if message[0] == kind:
                return message[1]

    def read_reply(self):
        """(request, answer, token, advice) of the next reply."""
        body = self.read_until(REPLY)
        request, answer, _, token = struct.unpack_from("<QBBQ", body)
        return request, answer, token, body[18 + 2 + 24 + 2:].decode()  # Without a value block.

    def read_refusal(self):
        """(reason, advice); afterwards the daemon hangs up."""
        body = self.read_until(REFUSED)
        check(self.read() is None, "the daemon hangs up after a refusal")
        return body[0], body[3:].decode()


def session(cluster, node):
    connection = Connection(cluster.socket(node))
    connection.send(hello(OPEN))
    connection.read_until(WELCOME)
    return connection


# ---- Sealed datagrams ----

def quarter_round(s, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xffffffff
        mixed = s[z] ^ s[x]
        s[z] = ((mixed << bits) | (mixed >> (32 - bits))) & 0xffffffff


def chacha20_block(key, counter, nonce):
    start = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, *struct.unpack("<8I", key), counter,
             *struct.unpack("<3I", nonce)]
    state = list(start)
    for _ in range(10):
        for i in range(4):
            quarter_round(state, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter_round(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(start, state)))


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    sum_ = 0
    for at in range(0, len(message), 16):
        sum_ = (sum_ + int.from_bytes(message[at:at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return ((sum_ + int.from_bytes(key[16:], "little")) & ((1 << 128) - 1)).to_bytes(16, "little")


def padded(data):
    return data + bytes(-len(data) % 16)


def chacha20_poly1305(key, nonce, header, plain):
    stream = b"".join(chacha20_block(key, 1 + at // 64, nonce) for at in range(0, len(plain), 64))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    tag = poly1305(chacha20_block(key, 0, nonce)[:32],
                   padded(header) + padded(cipher) + struct.pack("<QQ", len(header), len(cipher)))
    return cipher + tag


def open_record(secret, cluster, record):
    """(kind, sender, text) of a record; its tag is checked."""
    _, kind, _, node = struct.unpack_from("<BBHI", record)
    salt, counter = record[8:24], struct.unpack_from("<Q", record, 24)[0]
    key = hkdf(secret, salt, b"lockd udp v1" + cluster + struct.pack("<IQ", node, counter >> 24))
    nonce = bytes(4) + struct.pack("<Q", counter)
    # The cipher is its own reverse, and the tag is over the ciphertext.
    plain = chacha20_poly1305(key, nonce, b"", record[32:-16])[:-16]
    check(chacha20_poly1305(key, nonce, record[:32], plain) == record[32:], "a record has a right tag")
    return kind, node, plain


def hkdf(secret, salt, info):
    return hmac.digest(hmac.digest(salt, secret, hashlib.sha256), info + b"\1", hashlib.sha256)


class Sealer:
    """One life of a node, as others see it."""

    def __init__(self, secret, cluster, node, salt=None, key_id=1):
        self.node, self.key_id, self.counter = node, key_id, 0
        self.salt = salt or os.urandom(16)
        info = b"lockd udp v1" + cluster + struct.pack("<IQ", node, 0)
        self.key = hkdf(secret, self.salt, info)

    def seal(self, plain, kind=1, version=1):
        self.counter += 1
        header = struct.pack("<BBHI", version, kind, self.key_id, self.node) + self.salt + struct.pack("<Q", self.counter)
        nonce = bytes(4) + struct.pack("<Q", self.counter)
        return header + chacha20_poly1305(self.key, nonce, header, plain)


# ---- Running tests ----

def main(tests):
    """Runs the tests, or those whose names are given, and ends with 1 if one fails."""
    if not os.path.exists(LOCKD):
        sys.exit(f"{LOCKD} is not built; run tools/build")
    raise_descriptor_limit()
    wanted = sys.argv[1:]
    failures = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        begin = time.monotonic()
        try:
            test()
            print(f"passed {test.__name__} in {time.monotonic() - begin:.1f} s", flush=True)
        except Exception:  # pylint: disable=broad-except
            failures += 1
            print(f"FAILED {test.__name__}", flush=True)
            traceback.print_exc()
    sys.exit(1 if failures else 0)
