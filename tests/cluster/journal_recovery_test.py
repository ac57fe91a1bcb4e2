#!/usr/bin/env python3
"""examples/journal_recovery over real daemons: a node dies, stands still or is cut off at the worst moments, the others
recover its journal once and go on, and the checker finds nothing wrong.

  journal_recovery_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import os
import signal
import sys

import bad_input_harness as h
import relay_harness
from bad_input_harness import Cluster, check

sys.path.append(os.path.join(h.ROOT, "tools"))

from journal_crew import Crew, result

PROGRAM = os.environ.get("RINGLOCK_JOURNAL_RECOVERY") or os.path.join(h.BUILD, "tests", "cluster", "journal_recovery")
NODES = (1, 2, 3)
LATER = 20  # A stop is at this transaction, so that there were some before.


def crew(cluster):
    return Crew(PROGRAM, cluster.parent, cluster.socket)


def mount_all(crew_, **options):
    """One after the other: so each node's slot, and its journal, is its own number."""
    return [crew_.mount(node, *options.get(f"node{node}", ())) for node in NODES]


def go_on(nodes, since):
    for node, mark in zip(nodes, since):
        node.wait_for("recovery", mark)
        node.wait_for("is over", mark)
        mark = next(i for i in range(mark, len(node.said)) if "is over" in node.said[i])
        node.wait_for("is done", mark)


def judged(crew_, **wanted):
    """Everybody leaves, and the disk is well."""
    bad = crew_.end()
    check(not bad, f"did not leave in good order: {bad}")
    code, lines = crew_.check()
    found = result(lines)
    check(code == 0 and found["wrong"] == 0, "the checker:\n" + "\n".join(lines))
    for name, number in wanted.items():
        check(found[name] == number, f"{name} is {number}: {lines[-1]}")
    return found


def killed(point, **wanted):
    with Cluster(3) as cluster, crew(cluster) as crew_:
        one, _, three = mount_all(crew_, node2=("--stop-at", f"{point}:{LATER}"))
        since = one.mark(), three.mark()
        crew_.nodes[2].wait_to_stand_still(point)
        crew_.nodes[2].kill()
        go_on((one, three), since)
        # It comes back, to a journal that is in order.
        crew_.mount(2).wait_for("is done")
        judged(crew_, recoveries=1, interrupted=0, refused=0, **wanted)


def killed_before_the_intent():
    killed("intent", replayed=0, dropped=0)


def killed_before_the_commit():
    killed("commit", replayed=0, dropped=1)


def killed_after_the_commit():
    killed("block", replayed=1, dropped=0)


def killed_between_the_blocks():
    killed("second", replayed=1, dropped=0)


def killed_before_it_was_called_done():
    killed("done", replayed=1, dropped=0)


def killed_with_its_node():
    """As by the power: the locks stay the dead node's until its lease is over."""
    with Cluster(3) as cluster, crew(cluster) as crew_:
        one, _, three = mount_all(crew_, node2=("--stop-at", f"second:{LATER}"))
        since = one.mark(), three.mark()
        crew_.nodes[2].wait_to_stand_still("second")
        cluster.tool("kill", cluster.folder, "2")
        crew_.nodes[2].kill()
        one.wait_for("node 2 failed", since[0])
        go_on((one, three), since)
        cluster.tool("start", cluster.folder, "2")
        crew_.mount(2).wait_for("is done")
        judged(crew_, recoveries=1, replayed=1, dropped=0, interrupted=0, refused=0)


def paused(point):
    """It wakes when others have recovered its journal, and its write comes too late."""
    with Cluster(3) as cluster, crew(cluster) as crew_:
        one, two, three = mount_all(crew_, node2=("--stop-at", f"{point}:{LATER}"))
        since = one.mark(), three.mark()
        crew_.nodes[2].wait_to_stand_still(point)
        go_on((one, three), since)
        two.send(signal.SIGCONT)
        two.wait_for("REFUSED by the disk")
        check(two.wait() == 3, "it says so, and ends")
        crew_.mount(2).wait_for("is done")
        judged(crew_, recoveries=1, interrupted=0, refused=1)


def paused_before_the_commit():
    paused("commit")


def paused_between_the_blocks():
    paused("second")


def stopped_anywhere():
    """By its own clock its session is over; or a write was just on its way."""
    with Cluster(3) as cluster, crew(cluster) as crew_:
        one, two, three = mount_all(crew_)
        two.wait_for("is done")
        since = one.mark(), three.mark()
        two.send(signal.SIGSTOP)
        go_on((one, three), since)
        two.send(signal.SIGCONT)
        check(two.wait() == 3, "\n".join(two.said[-5:]))
        judged(crew_, recoveries=1)


def second_failure(times, pause, **wanted):
    """Who recovers dies over it, or stands still."""
    with Cluster(3) as cluster, crew(cluster) as crew_:
        stop = ("--stop-at", f"replay:{times}")
        one, two, three = mount_all(crew_, node1=stop, node2=("--stop-at", f"second:{LATER}"), node3=stop)
        two.wait_to_stand_still("second")
        two.kill()
        h.wait_until(lambda: one.stands_still() or three.stands_still(), "one of them recovers, and stands still")
        first, second = (one, three) if one.stands_still() else (three, one)
        if not pause:
            first.kill()
        # It takes over, comes to the same point, and goes on.
        second.wait_to_stand_still()
        second.send(signal.SIGCONT)
        second.wait_for("journal/2: replayed 1, dropped 0")
        mark = second.mark()
        second.wait_for(f"journal/{1 if first is one else 3}: replayed 0, dropped 0")
        second.wait_for("is done", mark)
        if pause:
            first.send(signal.SIGCONT)
            check(first.wait() == 3, "\n".join(first.said[-5:]))
        judged(crew_, **wanted)


def recoverer_killed_before_it_replays():
    second_failure(1, False, recoveries=2, interrupted=1, replayed=1)


def recoverer_killed_in_the_middle():
    second_failure(2, False, recoveries=2, interrupted=1, replayed=1)


def recoverer_paused():
    """Even who recovers may come too late."""
    second_failure(2, True, recoveries=2, interrupted=1, replayed=1, refused=1)


def cut_off():
    with relay_harness.Cluster(3) as cluster, crew(cluster) as crew_:
        one, two, three = mount_all(crew_, node2=("--stop-at", f"second:{LATER}"))
        since = one.mark(), three.mark()
        crew_.nodes[2].wait_to_stand_still("second")
        cluster.relay.ask("partition 1,3 2")
        # It goes on at once, alone: what it has begun it may bring to an end while its lease lasts.
        two.send(signal.SIGCONT)
        two.wait_for("LOST", or_text="REFUSED")
        check(two.wait() == 3, "\n".join(two.said[-5:]))
        one.wait_for("node 2 failed", since[0])
        go_on((one, three), since)
        cluster.relay.ask("heal")
        crew_.mount(2).wait_for("is done")
        judged(crew_, recoveries=1)


def all_at_once():
    """Of the whole cluster nothing is left but the disk. Who comes back first recovers all journals."""
    with Cluster(3) as cluster, crew(cluster) as crew_:
        mount_all(crew_, node3=("--stop-at", f"second:{LATER}"))
        crew_.nodes[3].wait_to_stand_still("second")
        for node in NODES:
            crew_.nodes[node].kill()
        for node in NODES:
            cluster.tool("kill", cluster.folder, str(node))
        for node in NODES:
            cluster.tool("start", cluster.folder, str(node))
        one = crew_.mount(1)
        one.wait_for("is done")
        for node in NODES:
            one.wait_for(f"journal/{node}: replayed")
        one.wait_for("journal/3: replayed 1, dropped 0")
        judged(crew_, recoveries=3)


def come_and_go():
    """Who leaves in good order leaves nothing to recover."""
    with Cluster(3) as cluster, crew(cluster) as crew_:
        one, two, three = mount_all(crew_)
        for _ in range(3):
            two.wait_for("is done")
            check(two.end() == 0, "it leaves")
            two = crew_.mount(2)
        judged(crew_, recoveries=0, refused=0)


if __name__ == "__main__":
    h.main([killed_before_the_intent, killed_before_the_commit, killed_after_the_commit, killed_between_the_blocks,
            killed_before_it_was_called_done, killed_with_its_node, paused_before_the_commit, paused_between_the_blocks,
            stopped_anywhere, recoverer_killed_before_it_replays, recoverer_killed_in_the_middle, recoverer_paused,
            cut_off, all_at_once, come_and_go])
