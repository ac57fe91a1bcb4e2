"""The processes of examples/journal_recovery: the disk, and the nodes that use it. What each of them says is kept, and can
be waited for."""

import os
import signal
import subprocess
import threading
import time

DEADLINE = 120  # Seconds for one awaited thing; a loaded machine may need some.


class Failure(Exception):
    """It did not go as it must."""


def poll(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"deadline: {what}")
        time.sleep(0.02)


class Process:
    """Whatever it says, line by line; `hear(line)` is called with each in a thread of its own."""

    def __init__(self, command, name, hear=None, **environment):
        self.name = name
        self.said = []
        self.heard = threading.Condition()
        self.hear = hear
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, **environment})
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            with self.heard:
                self.said.append(line.rstrip("\n"))
                self.heard.notify_all()
            if self.hear:
                self.hear(line.rstrip("\n"))
        with self.heard:
            self.said.append("")  # Nothing more will come.
            self.heard.notify_all()

    def find(self, text, since=0):
        return next((line for line in self.said[since:] if text in line), None)

    def mark(self):
        """To wait only for what is said from now on."""
        return len(self.said)

    def wait_for(self, text, since=0, or_text=None):
        """The first line with the text in it, or with the other one."""
        def there():
            return self.find(text, since) or (or_text and self.find(or_text, since))
        with self.heard:
            self.heard.wait_for(lambda: there() or self.said[-1:] == [""], DEADLINE)
            if not there():
                raise Failure(f"{self.name} did not say '{text}':\n" + "\n".join(self.said[-20:]))
            return there()

    def stands_still(self, point=""):
        """Whether it has come to the point at which it was told to stop, and has stopped."""
        if not self.find(f"stands still: the next thing would be {point}"):
            return False
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def wait_to_stand_still(self, point=""):
        self.wait_for(f"stands still: the next thing would be {point}")
        poll(lambda: self.stands_still(point), f"{self.name} stops")

    def send(self, how):
        self.process.send_signal(how)

    def kill(self):
        self.process.kill()
        self.wait()

    def runs(self):
        return self.process.poll() is None

    def wait(self):
        """The exit code, when all that it said was heard."""
        code = self.process.wait(DEADLINE)
        self.listener.join(DEADLINE)
        return code

    def end(self):
        """In good order, if it still runs."""
        if self.runs():
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)
        return self.wait()


class Crew:
    """A disk, and at most one node process on each node of a cluster. Use it as a context: at its end nothing runs.

    `socket(node)` is where that node's lockd is; `hear(name, line)` is told what everybody says."""

    def __init__(self, program, folder, socket, hear=None):
        self.program = program
        self.disk_path = os.path.join(folder, "disk")
        self.disk_socket = os.path.join(folder, "disk.sock")
        self.socket = socket
        self.hear = hear
        self.disk = None
        self.nodes = {}
        self.everybody = []

    def __enter__(self):
        subprocess.run([self.program, "format", self.disk_path], check=True)
        self.disk = self.start("disk", "serve", self.disk_path, self.disk_socket)
        self.disk.wait_for("ready")
        return self

    def __exit__(self, *_):
        for process in self.everybody:
            if process.runs():
                process.process.kill()
            process.process.wait()
            process.listener.join(DEADLINE)
            process.process.stdout.close()

    def start(self, name, *arguments, **environment):
        hear = (lambda line: self.hear(name, line)) if self.hear else None
        process = Process([self.program, *arguments], name, hear, **environment)
        self.everybody.append(process)
        return process

    def node(self, number, *options):
        """Starts one; it is not mounted yet."""
        self.nodes[number] = self.start(f"node {number}", "node", self.disk_socket, *options,
                                        LOCKD_SOCKET=self.socket(number))
        return self.nodes[number]

    def mount(self, number, *options):
        node = self.node(number, *options)
        node.wait_for("is mounted")
        return node

    def end(self):
        """All nodes leave, then the disk. Names those who could not."""
        bad = [node.name for node in self.nodes.values() if node.runs() and node.end() != 0]
        self.disk.kill()
        return bad

    def check(self):
        """(exit code, lines) of the checker."""
        checked = subprocess.run([self.program, "check", self.disk_path], capture_output=True, text=True,
                                 timeout=DEADLINE)
        return checked.returncode, (checked.stdout + checked.stderr).splitlines()


def result(lines):
    """{name: number} of the checker's last line."""
    last = lines[-1].split() if lines else []
    return {name: int(number) for name, number in (word.split("=") for word in last[1:])} if last[:1] == ["RESULT"] else {}
