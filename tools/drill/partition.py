#!/usr/bin/env python3
"""Shows cluster locks while the network splits: five daemons and real programs on this machine, faults that hurt, and
the score. tools/demo partition builds and starts it.

  tools/demo partition [--seconds N] [--seed S] [--profile default|fast] [--script FILE] [--report FOLDER]
                       [--against etcd|redlock|redlock-fsync]

Without --script faults are drawn from the seed. A script has a line for each fault, SECONDS KIND [ARGUMENT...];
tools/drill/partition.script is one, with those that hurt:

  2 partition 1,2 3,4,5      those named together hear each other only
  2 partition holder         the same, with somebody who holds a lock among the two
  6 heal
  7 pause_daemon 4 1.5       for so many seconds

In a terminal a key does so at any time: p partition, c one-way cut, d pause a daemon, k kill a daemon, s pause a
program, x kill a program, r restart all, h heal, q end. The report is FOLDER/report.html and FOLDER/report.json.

--against does the same to Debian's etcd, or to Redlock on five of Debian's redis-server, with the same programs and the
same judge, and shows what it sees: the exit code is 0 if locks were granted, whatever became of them. Leases last 2 s
there, as with --profile default, and all locks are exclusive. Redlock has no tokens, and so no resource compares them;
redlock is on servers that save what Debian's do, redlock-fsync on some that have each write on the disk.
"""

import argparse
import contextlib
import json
import os
import select
import shutil
import sys
import tempfile
import termios
import time
import tty

import report
from drill import Drill
from faults import KINDS
from history import now
from scoreboard import Scoreboard
from systems import SYSTEMS, has_tokens

KEYS = {"p": "partition", "c": "cut", "d": "pause_daemon", "k": "kill_daemon", "s": "pause_client", "x": "kill_client",
        "r": "restart_all"}
PLAIN_SECONDS = 2  # Between two lines where no terminal is.
ZEROS = ("belief_overlaps", "stale_accepted", "token_regressions", "unserved")  # Of what is promised.
OF_TOKENS = ("stale_accepted", "token_regressions")
CLEAR = "\x1b[H\x1b[J"


@contextlib.contextmanager
def single_keys():
    """Keys come as they are pressed, if there is a terminal."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield lambda: sys.stdin.read(1) if select.select([sys.stdin], [], [], 0)[0] else ""
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class View:
    """The state of things on the terminal, or as lines."""

    def __init__(self, drill, seconds):
        self.drill = drill
        self.begin = time.monotonic()
        self.seconds = seconds
        self.board = Scoreboard(drill.history)
        self.shown = 0.0

    def show(self):
        live = sys.stdout.isatty()
        if not live and time.monotonic() - self.shown < PLAIN_SECONDS:
            return
        self.shown = time.monotonic()
        self.board.refresh()
        lines = [self.head(), *([*self.nodes(), *self.locks()] if live else [])]
        print((CLEAR if live else "") + "\n".join(lines), flush=True)

    def groups(self):
        """A minority of two with a node in it whose program holds a lock, and the others; as words of a script."""
        self.board.refresh()
        ids = self.drill.nodes.ids
        holder = self.board.node_of_holder(now()) or ids[0]
        minority = [holder, next(node for node in ids if node != holder)]
        majority = [node for node in ids if node not in minority]
        return [",".join(map(str, group)) for group in (minority, majority)]

    def head(self):
        counts = "  ".join(f"{name} {count}" for name, count in self.board.counts.items())
        faults = ", ".join(kind for _, kind, *_ in self.drill.faults.active.values()) or "none"
        return f"{time.monotonic() - self.begin:5.1f} of {self.seconds:.0f} s  {counts}  faults: {faults}"

    def nodes(self):
        nodes = self.drill.nodes
        groups = nodes.groups or [nodes.ids]
        state = {node: "paused" if node in nodes.paused else "up" if nodes.runs(node) else "down" for node in nodes.ids}
        yield "\nconnected: " + "   |   ".join(
            "  ".join(f"{node}:{state[node]}" for node in group) for group in groups)

    def locks(self):
        yield "\nlock     held by                                    waiting"
        holders, waiting = self.board.holders(now()), self.board.waiting()
        for lock in sorted({*holders, *waiting}):
            held = ", ".join(f"{client} {mode} for {left:.2f} s" for client, mode, left in holders.get(lock, []))
            yield f"{lock:8} {held or '-':42} {waiting.get(lock, 0)}"


def read_script(path):
    """[(seconds, kind, arguments)], in order."""
    steps = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if len(words) < 2 or words[1] not in (*KINDS, "heal"):
                raise SystemExit(f"{path}:{number}: want SECONDS KIND, with KIND one of: heal {' '.join(KINDS)}")
            steps.append((float(words[0]), words[1], words[2:]))
    return sorted(steps, key=lambda step: step[0])


def play(drill, script, seconds, keys):
    """What happens in between, until the time is over or somebody presses q."""
    view = View(drill, seconds)
    drawn = time.monotonic()
    while (passed := time.monotonic() - view.begin) < seconds:
        now_ = time.monotonic()
        drill.faults.end_due(now_)
        if script is not None:
            while script and script[0][0] <= passed:
                _, kind, arguments = script.pop(0)
                drill.faults.do(now_, kind, view.groups() if arguments == ["holder"] else arguments)
        elif now_ >= drawn:
            drill.faults.step(now_)
            drawn = now_ + drill.faults.next_pause()
        key = keys()
        if key == "q":
            return
        if key == "h":
            drill.faults.heal()
        if key in KEYS:
            drill.faults.do(now_, KEYS[key], [])
        drill.check_alive()
        view.show()
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(prog="tools/demo partition", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=("default", "fast"))
    parser.add_argument("--script")
    parser.add_argument("--report", default="partition-report")
    parser.add_argument("--against", choices=[name for name in SYSTEMS if name != "ringlock"])
    options = parser.parse_args()
    system = SYSTEMS[options.against or "ringlock"]
    profile = options.profile or next(iter(system.leases))
    if profile not in system.leases:
        parser.error(f"{system.title} has no profile {profile}: its leases last {system.leases['default']:.0f} s")
    if system.program is not None and shutil.which(system.program) is None:
        raise SystemExit(f"There is no {system.program} in PATH. As root: tools/install-deps --against {system.name}")
    script = read_script(options.script) if options.script else None
    build = os.environ["RINGLOCK_BUILD"]
    folder = tempfile.mkdtemp(prefix="ringlock-partition-")
    try:
        drill = Drill(build, folder, profile=profile, seed=options.seed, system=system.name)
        with single_keys() as keys:
            faults = drill.run(lambda: play(drill, script, options.seconds, keys))
        verdict = drill.judge()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(options.report, exist_ok=True)
    title = f"{system.title} while the network splits: profile {profile}, seed {options.seed}"
    with open(os.path.join(options.report, "report.html"), "w", encoding="utf-8") as file:
        file.write(report.page(title, verdict, faults, has_tokens(system)))
    with open(os.path.join(options.report, "report.json"), "w", encoding="utf-8") as file:
        json.dump({"system": system.name, **verdict.as_json()}, file)
    return conclude(system, verdict, options.report)


def conclude(system, verdict, folder):
    """Prints the score; the exit code."""
    counters = verdict.counters
    for violation in verdict.violations:
        print(violation)
    print(f"\nThe report: {folder}/report.html")
    tokens = has_tokens(system)
    print(f"{system.title}: {counters['granted']} locks granted, {counters['lost']} lost, {counters['taken_over']} "
          f"taken over, {counters['violations']} violations.")
    if system.name == "ringlock":
        print(f"{counters['late_writes']} writes came late to the resource that compares no tokens: their programs had "
              "been\nstopped after they had looked at their deadlines. The one that compares tokens refused what was "
              "out of date.")
    else:
        print(f"{counters['late_writes']} writes came late to the resource that compares no tokens: after their "
              "writers' time, or\nafter a later owner. " +
              (f"The one that compares tokens refused {counters['refused']} uses." if tokens else
               "There are no tokens that another resource could compare."))
    shown = {name: counters[name] if tokens or name not in OF_TOKENS else "-" for name in ZEROS}
    print(f"RESULT checks={counters['operations']} " + " ".join(f"{name}={count}" for name, count in shown.items()) +
          f" late_writes={counters['late_writes']}")
    if system.name != "ringlock":
        return 0 if counters["granted"] > 0 else 1
    return 0 if not any(shown.values()) and counters["violations"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
