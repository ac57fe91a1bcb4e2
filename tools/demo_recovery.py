#!/usr/bin/env python3
"""Shows how nodes that share a disk recover the journal of one that dies; started by tools/demo recovery, which builds first.

Three nodes use one file as their disk (examples/journal_recovery). One dies in the middle of a transaction, one is paused
and wakes too late, one is cut off, one dies while it recovers the journal of another. What they say is told as they say it.
At the end a checker judges the disk; exit code 0 only if nothing is wrong with it, and each of that has happened.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.environ.get("RINGLOCK_BUILD") or os.path.join(ROOT, "build")
PROGRAM = os.path.join(BUILD, "tests", "cluster", "journal_recovery")

sys.path.append(os.path.join(ROOT, "tools", "drill"))

from journal_crew import Crew, Failure, poll, result
from nodes import Failure as NodesFailure
from ringlock_nodes import RinglockNodes

NODES = (1, 2, 3)
SEED = 1
LATER = 30  # The transaction in which something happens: some come before.


class Story:
    """What happens, with the time since the start: what is done to them, and what they say themselves."""

    def __init__(self):
        self.start = time.monotonic()
        self.turn = threading.Lock()

    def line(self, text):
        with self.turn:
            print(f"{time.monotonic() - self.start:6.2f} s  {text}", flush=True)

    def tell(self, text):
        self.line(text)

    def hear(self, name, line):
        self.line(f"    {name}: {line}")

    def chapter(self, title):
        with self.turn:
            print(f"\n{title}", flush=True)


class Demonstration:
    def __init__(self, nodes, crew, story):
        self.nodes = nodes
        self.crew = crew
        self.story = story

    def stop_in(self, point, node=2):
        """Its program, anew: it will stand still in the middle of a transaction, or of a recovery."""
        process = self.crew.mount(node, "--stop-at", point)
        return process

    def others(self, node):
        return [self.crew.nodes[other] for other in NODES if other != node]

    def wait_for_recovery(self, processes, since):
        for process, mark in zip(processes, since):
            process.wait_for("is over", mark)
            mark += next(i for i, line in enumerate(process.said[mark:]) if "is over" in line)
            process.wait_for("is done", mark)

    def run(self):
        story = self.story
        story.chapter("Three nodes share a disk. Each has a journal on it, and its lock.")
        for node in NODES:
            self.crew.mount(node, *(("--stop-at", f"second:{LATER}") if node == 2 else ()))
        self.killed()
        self.paused()
        self.cut_off()
        self.second_failure()
        story.chapter("All leave, and the disk is judged: by what stands there, and by each write that ever was.")
        bad = self.crew.end()
        if bad:
            raise Failure(f"did not leave in good order: {bad}")
        code, lines = self.crew.check()
        print("\n".join(lines), flush=True)
        found = result(lines)
        return (code == 0 and found["recoveries"] == 5 and found["interrupted"] == 1 and found["refused"] >= 1
                and found["replayed"] >= 2 and found["dropped"] >= 1)

    def killed(self):
        self.story.chapter("A program dies in the middle of a transaction: committed, and one of its two blocks written.")
        victim = self.crew.nodes[2]
        others = self.others(2)
        since = [other.mark() for other in others]
        victim.wait_to_stand_still()
        self.story.tell("kill -9 to the program on node 2: the journal has what the disk has not")
        victim.kill()
        self.wait_for_recovery(others, since)

    def paused(self):
        self.story.chapter("It comes back, and is paused before it commits: nobody can know that it is not dead.")
        victim = self.stop_in(f"commit:{LATER}")
        others = self.others(2)
        since = [other.mark() for other in others]
        victim.wait_to_stand_still()
        self.story.tell("it has looked at the clock, its write is on the way, and the others wait for its lease to be over")
        self.wait_for_recovery(others, since)
        self.story.tell("now it wakes, and its write arrives")
        victim.send(signal.SIGCONT)
        victim.wait_for("REFUSED")
        victim.wait()

    def cut_off(self):
        self.story.chapter("It comes back, and its node is cut off from the others. Its program lives, and knows nothing.")
        victim = self.stop_in(f"second:{LATER}")
        others = self.others(2)
        since = [other.mark() for other in others]
        victim.wait_to_stand_still()
        self.nodes.partition((1, 3), (2,))
        self.story.tell("cut: node 2 hears nobody, and can still reach the disk")
        victim.send(signal.SIGCONT)
        victim.wait_for("LOST", or_text="REFUSED")
        victim.wait()
        self.wait_for_recovery(others, since)
        self.nodes.heal()
        self.story.tell("the network is whole again")
        poll(lambda: self.nodes.serves(2), "node 2 is back")

    def second_failure(self):
        self.story.chapter("Two die: the second one while it recovers the journal of the first.")
        for node in (1, 3):
            self.crew.nodes[node].end()
            self.stop_in("replay:2", node)
        victim = self.stop_in(f"block:{LATER}")
        victim.wait_to_stand_still()
        self.story.tell("kill -9 to the program on node 2")
        victim.kill()
        others = self.others(2)
        poll(lambda: any(other.stands_still() for other in others), "somebody recovers")
        first, last = sorted(others, key=lambda other: not other.stands_still())
        self.story.tell(f"kill -9 to the program on {first.name}, which has written one of two blocks again")
        first.kill()
        last.wait_to_stand_still()
        self.story.tell(f"{last.name} does all of it once more; written twice is as good as once")
        since = last.mark()
        last.send(signal.SIGCONT)
        last.wait_for(f"journal/{first.name.split()[1]}: replayed 0", since)
        last.wait_for("is done", since)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # So that nothing is left running.
    folder = tempfile.mkdtemp(prefix="ringlock-recovery.")
    story = Story()
    right = False
    try:
        with RinglockNodes(BUILD, folder, len(NODES), "default", SEED) as nodes, \
                Crew(PROGRAM, folder, nodes.address, story.hear) as crew:
            right = Demonstration(nodes, crew, story).run()
    except (Failure, NodesFailure) as failure:
        print(f"demo: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
    finally:
        if right:
            shutil.rmtree(folder)
        else:
            print(f"demo: the disk and the logs are in {folder}", file=sys.stderr)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
