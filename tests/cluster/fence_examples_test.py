#!/usr/bin/env python3
"""examples/file_store and examples/sql_table, built outside the tree against what was installed: a holder whose turn is
over is refused, also after the resource was started anew, and after it was killed in the middle of writes.

  fence_examples_test.py BUILD-FOLDER CXX [FLAGS]"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEADLINE = 120
ROUNDS = 5     # Of killing.
TOLD_MIN = 20  # Writes of each round that were told before the kill.


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def run(*command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, **options)
    check(ended.returncode == 0, f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")


def build(tree, folder, cxx, flags):
    """The examples as a stranger would build them."""
    prefix = os.path.join(folder, "prefix")
    run("cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P", os.path.join(tree, "liblock", "cmake_install.cmake"))
    config = [at for at, _, names in os.walk(prefix) if "liblock.pc" in names][0]
    programs = []
    for name in ("file_store", "sql_table"):
        made = os.path.join(folder, name)
        run("cmake", "-S", os.path.join(ROOT, "examples", name), "-B", made, f"-DCMAKE_CXX_COMPILER={cxx}",
            f"-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror {flags}", env={**os.environ, "PKG_CONFIG_PATH": config})
        run("cmake", "--build", made)
        programs.append(os.path.join(made, name))
    return programs


class Channel:
    """Lines to a resource and back."""

    def __init__(self, one):
        self.socket, self.received = one, b""
        one.settimeout(DEADLINE)

    def send(self, *lines):
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def receive(self):
        """The next line, None at the end."""
        while b"\n" not in self.received:
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self.received += more
        line, self.received = self.received.split(b"\n", 1)
        return line.decode()

    def ask(self, line):
        self.send(line)
        return self.receive()


class Resource:
    """Something with a lock for each name; `SET` and `GET` are its words."""

    def __init__(self):
        self.processes = []

    def start(self, *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout)
        self.processes.append(process)
        return process

    def stop(self, how=signal.SIGKILL):
        for process in self.processes:
            process.send_signal(how)
        for process in self.processes:
            process.wait(timeout=DEADLINE)
            if process.stdout:
                process.stdout.close()
        self.processes = []

    def set(self, channel, name, token, value):
        return channel.ask(f"{self.SET} {name} {token} {value}")

    def get(self, channel, name, token):
        return channel.ask(f"{self.GET} {name} {token}")


class FileStore(Resource):
    SET, GET, ALONE, CHANNELS = "write", "read", True, 4

    def __init__(self, program, folder):
        super().__init__()
        self.program, self.files, self.path = program, os.path.join(folder, "files"), os.path.join(folder, "socket")
        self.served = (program, "serve", self.files, self.path)
        run(program, "init", self.files)

    def open(self):
        server = self.start(*self.served)
        check(server.stdout.readline() == b"ready\n", "file_store is ready")

    def connect(self):
        if not self.processes:
            self.open()
        one = socket.socket(socket.AF_UNIX)
        one.connect(self.path)
        return Channel(one)


class SqlTable(Resource):
    SET, GET = "set", "get"

    def __init__(self, program, folder, way):
        super().__init__()
        database, fence = os.path.join(folder, "database"), os.path.join(folder, "fence")
        self.ALONE = way == "beside"
        self.CHANNELS = 1 if self.ALONE else 3
        self.served = (program, way, database) + ((fence,) if self.ALONE else ())
        run(program, "init", database, fence)

    def connect(self):
        """A process each: the database knows how to be shared."""
        ours, its = socket.socketpair()
        self.start(*self.served, stdin=its, stdout=its)
        its.close()
        return Channel(ours)


def refuses_stale_holders(resource):
    channel = resource.connect()
    check(resource.set(channel, "a", 10, "ten").startswith("ok"), "the first write")
    check(resource.set(channel, "a", 9, "nine") == "stale", "a write below a write")
    check(resource.get(channel, "a", 9) == "stale", "a read below a write")
    check(resource.get(channel, "a", 10) == "ok ten", "a read by who wrote")
    check(resource.get(channel, "a", 12) == "ok ten", "a read")
    check(resource.get(channel, "a", 11) == "ok ten", "a shared read, below another one")
    check(resource.set(channel, "a", 11, "eleven") == "stale", "a write below a read")
    check(resource.set(channel, "b", 3, "three").startswith("ok"), "another lock has its own tokens")
    check(resource.get(channel, "new", 5).strip() == "ok", "a read of what is not there")
    check(resource.set(channel, "new", 4, "four") == "stale", "a write below it")
    for token in ("-1", "0", "18446744073709551616", "12x", ""):
        check(resource.set(channel, "a", token, "bad").startswith("error"), f"no token: '{token}'")
    check(channel.ask("what a 5").startswith("error"), "no such word")

    resource.stop(signal.SIGTERM)
    channel = resource.connect()
    check(resource.set(channel, "a", 11, "eleven") == "stale", "a write below a read, after a restart")
    check(resource.get(channel, "a", 9) == "stale", "a read below a write, after a restart")
    check(resource.get(channel, "a", 10) == "ok ten", "the value, after a restart")
    check(resource.set(channel, "a", 12, "twelve").startswith("ok"), "the next write")
    if resource.ALONE:
        second = subprocess.run(resource.served, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=DEADLINE)
        check(second.returncode == 1 and "in use" in second.stderr, f"two at once: {second}")
    resource.stop()


def asks(resource):
    """As the README does it."""
    resource.connect()
    for token, answer in ((13, "ok"), (12, "stale")):
        asked = subprocess.run([resource.program, "ask", resource.path, f"write a {token} by {token}"],
                               capture_output=True, text=True, timeout=DEADLINE)
        check(asked.stdout == answer + "\n" and asked.returncode == 0, f"ask: {asked}")
    resource.stop()


class Writers:
    """Write as fast as they are answered, each on a channel of its own, until the resource is killed."""

    def __init__(self, resource, channels, first, last):
        self.resource, self.told = resource, {}  # By name the highest token whose write was told.
        self.count, self.changed, self.strange = 0, threading.Condition(), []
        self.threads = [threading.Thread(target=self.work, args=(resource.connect(), range(first + i, last, channels)),
                                         daemon=True) for i in range(channels)]
        for thread in self.threads:
            thread.start()

    def work(self, channel, tokens):
        for token in tokens:
            name = "xy"[token % 2]
            try:
                answer = self.resource.set(channel, name, token, token)
            except ConnectionError:
                return
            if answer is None:
                return
            if answer.startswith("ok"):
                with self.changed:
                    self.told[name] = max(token, self.told.get(name, 0))
                    self.count += 1
                    self.changed.notify()
            elif answer != "stale":
                self.strange.append(answer)

    def kill(self):
        """When enough was written. What was told until then."""
        with self.changed:
            enough = self.changed.wait_for(lambda: self.count >= TOLD_MIN and len(self.told) == 2, DEADLINE)
        check(enough, f"writes go on: {self.told}")
        self.resource.stop(signal.SIGKILL)
        for thread in self.threads:
            thread.join(DEADLINE)
        check(not self.strange, f"each write is done or refused: {self.strange[:3]}")
        return self.told


def survives_kills(resource):
    first = 100
    for number in range(ROUNDS):
        last = first + 1_000_000
        told = Writers(resource, resource.CHANNELS, first, last).kill()
        channel = resource.connect()
        for name in "xy":
            what = f"round {number}: {name}: {told[name]} was told"
            check(resource.set(channel, name, told[name] - 1, "stale") == "stale", what)
            answer = resource.get(channel, name, last)
            check(answer.startswith("ok ") and told[name] <= int(answer[3:]) < last, f"{what}, then {answer}")
        resource.stop()
        first = last


def main(tree, cxx, flags=""):
    with tempfile.TemporaryDirectory(prefix="ringlock-fence.") as folder:
        file_store, sql_table = build(tree, folder, cxx, flags)
        resources = []
        try:
            for kind, *arguments in ((FileStore, file_store), (SqlTable, sql_table, "compare"),
                                     (SqlTable, sql_table, "beside")):
                own = tempfile.mkdtemp(dir=folder)
                resource = kind(arguments[0], own, *arguments[1:])
                resources.append(resource)
                refuses_stale_holders(resource)
                if kind is FileStore:
                    asks(resource)
                survives_kills(resource)
                print(f"{os.path.basename(arguments[0])} {' '.join(arguments[1:])}: well".replace(" :", ":"), flush=True)
        finally:
            for resource in resources:
                resource.stop()


main(*sys.argv[1:])
