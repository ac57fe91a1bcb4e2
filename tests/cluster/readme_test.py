#!/usr/bin/env python3
"""Types the tutorial of README.md into a shell and compares what comes back. Numbers, and how far columns stand apart, may
differ; nothing else."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.environ.get("RINGLOCK_BUILD") or os.path.join(ROOT, "build")

DEADLINE = 120  # Seconds for one command.
PROMPT = "the shell is ready"
# Asks and changes nothing: asked again until the answer is right, as a person would.
QUESTION = re.compile(r"(^|\s)lockctl (show|ls|why|status|members|evs members)\b|cluster status")


def steps(text):
    """(command, expected lines) of all console blocks."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *expected = part.rstrip("\n").split("\n")
            yield command, expected


def plain(line):
    """The line without what differs from run to run."""
    line = re.sub(r"\b[0-9a-f]{12,16}$", "HEX", line.rstrip())
    return re.sub(r"\s+", " ", re.sub(r"\d+", "N", line))


class Shell:
    def __init__(self):
        self.process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, "RINGLOCK_BUILD": BUILD},
                                        start_new_session=True)
        self.pending = b""

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read_line(self, deadline):
        """The next line, or None when the deadline has passed."""
        while b"\n" not in self.pending:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                return None
            self.pending += more
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode(errors="replace")

    def do(self, command, lines):
        """Types a command; answers what it said until the shell was ready again and there were so many lines."""
        deadline = time.monotonic() + DEADLINE
        self.type(command)
        # The code of the command is kept for the tutorial's own `echo $?`.
        self.type(f'(exit_code=$?; echo "{PROMPT}"; exit $exit_code)')
        said, ready = [], False
        while not ready or len(said) < lines:
            line = self.read_line(deadline)
            if line is None:
                break
            if line == PROMPT:
                ready = True
            else:
                said.append(line)
        return said


def main():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    parent = tempfile.mkdtemp(prefix="ringlock-readme.")
    ring = os.path.join(parent, "ring")
    shell = Shell()
    done = 0
    try:
        for command, expected in steps(text):
            typed = command.replace("/tmp/ring", ring).replace("$PWD/build", BUILD)
            expected = [line.replace("/tmp/ring", ring) for line in expected]
            print("$ " + typed, flush=True)
            question = QUESTION.search(command)
            deadline = time.monotonic() + DEADLINE
            while True:
                said = shell.do(typed, 0 if question else len(expected))
                right = list(map(plain, said)) == list(map(plain, expected))
                if right or not question or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            for line in said:
                print(line, flush=True)
            if not right:
                sys.exit("README.md says:\n" + "\n".join(expected))
            done += 1
    finally:
        if os.path.exists(ring):
            subprocess.run([os.path.join(ROOT, "tools", "cluster"), "down", ring], check=False)
        os.killpg(shell.process.pid, signal.SIGKILL)  # With what it has left in the background.
        shell.process.wait()
        shutil.rmtree(parent)
    if done < 10:
        sys.exit(f"README.md has a tutorial of {done} commands only")


main()
