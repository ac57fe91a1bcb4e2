"""What benchmarks of lock services beside each other share: programs and packages, which systems can be measured, turns in
which nobody has the better hours of the machine, and rows of a judgement."""

import contextlib
import os
import subprocess
import tempfile
import time

from lock_figures import kind_of_files
from lock_peers import addresses, why_missing
from nodes import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
TMPFS, DISK = "/dev/shm", "/var/tmp"
LOAD_SECONDS = 120
LOAD_PERCENT_MAX = 85  # Of a core; above it is not certain who is slow.
FAILURES = (Failure, OSError, subprocess.SubprocessError)


class Judgement:
    def __init__(self):
        self.rows = []

    def report(self, row):
        self.rows.append(row)
        print(f"{'reached' if row.reached else 'MISSED '}  {row.what:62} {row.figure:>10}  goal {row.goal:11} "
              f"{row.detail}".rstrip(), flush=True)

    def end(self):
        """The last line; returns the exit code."""
        reached = sum(row.reached for row in self.rows)
        print(f"RESULT rows={len(self.rows)} reached={reached}")
        return 0 if reached == len(self.rows) else 1


def programs(as_they_are, *targets):
    """The folder of ours, optimised; with the packages of the others installed."""
    folder = os.environ.get("RINGLOCK_BUILD") or os.path.join(ROOT, "build-bench")
    if as_they_are:
        return folder
    installed = subprocess.run([os.path.join(ROOT, "tools", "install-deps"), "--bench"], check=False)
    if installed.returncode != 0:
        print("Not all packages are there; goes on with those that are.", flush=True)
    subprocess.run(["cmake", "--preset", "release", "-B", folder], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--target", *targets], check=True, stdout=subprocess.DEVNULL)
    return folder


def present(systems):
    """Those that can be measured; says what each promises, and why others are left out."""
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = file.read()
    kinds = {place: kind_of_files(place, mounts) for place in (TMPFS, DISK)}
    print(f"Files in memory are in {TMPFS} ({kinds[TMPFS]}), others in {DISK} ({kinds[DISK]}).")
    there = []
    for system in systems:
        missing = why_missing(system)
        if missing is None and system.tmpfs and kinds[TMPFS] != "tmpfs":
            missing = f"{TMPFS} is no tmpfs"
        if missing is None and not system.tmpfs and system.needs and kinds[DISK] == "tmpfs":
            missing = f"{DISK} is no disk"
        if missing is None:
            there.append(system)
            print(f"  {system.name:16} {system.promise}")
        else:
            print(f"  {system.name:16} NOT MEASURED: {missing}")
    return there


@contextlib.contextmanager
def running(system, build):
    """The addresses of its servers, which run as long as this is open."""
    with tempfile.TemporaryDirectory(prefix="ringlock-peers-", dir=TMPFS if system.tmpfs else DISK) as folder:
        with system.nodes(build, folder, system.servers, "default", 1) as nodes:
            yield addresses(system, nodes)


def load(build, program, *words):
    """The line that the load program says."""
    command = [os.path.join(build, "tests", "bench", program), *map(str, words)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS)
    if made.returncode != 0:
        raise Failure(f"{' '.join(command[1:4])}: {made.stderr.strip()}")
    return made.stdout


def in_turns(systems, rounds, turn):
    """Calls turn(system) for each in each round. Who else uses the machine does so to all; every other round is in the
    other order."""
    for number in range(rounds):
        for system in systems if number % 2 == 0 else reversed(systems):
            start = time.monotonic()
            what = f"{system.name}, {system.servers} servers" if system.servers > 1 else system.name
            try:
                turn(system)
            except FAILURES as failure:
                print(f"round {number + 1}: {what} failed: {failure}", flush=True)
            else:
                print(f"round {number + 1}: {what}, {time.monotonic() - start:.0f} s", flush=True)
