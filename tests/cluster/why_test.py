#!/usr/bin/env python3
"""Three daemons of which one ends, stands still, comes back: the others say why, in words.

  why_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import json
import os
import signal

import bad_input_harness as h
from bad_input_harness import check, wait_until


def ask(cluster, node, *verb):
    answer = cluster.lockctl(node, "--json", *verb)
    check(answer.returncode == 0, f"lockctl {verb}: {answer.stderr}")
    return json.loads(answer.stdout)


def incarnation(cluster, node):
    """Of the daemon that runs now, as it tells itself."""
    return next(peer["incarnation"] for peer in cluster.status(node)["peers"] if peer["self"])


def changes(cluster, node):
    return ask(cluster, node, "why", "--all")["changes"]


def wait_for_why(cluster, node, of, change):
    """What `node` says of the newest change in which `of` "left" or "came". A busy machine may lose a token, so the
    change need not be the last one."""
    def found():
        return [one["why"] for told in changes(cluster, node) for one in told["members"]
                if one["node"] == of and one["change"] == change]
    wait_until(found, f"node {node} tells that node {of} {change}")
    return found()[0]


def end_cleanly(cluster, node):
    os.kill(cluster.pid(node), signal.SIGTERM)


def a_daemon_that_is_killed():
    with h.Cluster(3) as cluster:
        before = incarnation(cluster, 3)
        cluster.tool("kill", cluster.folder, "3")
        for node in (1, 2):
            text = wait_for_why(cluster, node, 3, "left")
            check("nothing was heard of it for " in text, text)
        told = [one for node in (1, 2) for one in changes(cluster, node) if one["nodes"] == [1, 2]]
        check(all(one["took_seconds"] > 0 for one in told), told)
        check(any("the token did not come for " in one["trigger"] for one in told), f"why it began: {told}")
        check(len(ask(cluster, 1, "why")["changes"]) == 1, "without --all it is the last change")
        lines = cluster.lockctl(1, "why", "--all").stdout.splitlines()
        check(lines[0].startswith("ring ") and lines[0].endswith(": nodes 1 2"), lines)
        check(any(line.startswith("node 3 left: ") for line in lines), lines)

        cluster.tool("start", cluster.folder, "3")
        wait_until(lambda: all(cluster.status(node)["votes"] == 3 for node in (1, 2, 3)), "all are together")
        for node in (1, 2):
            text = wait_for_why(cluster, node, 3, "came")
            after = incarnation(cluster, 3).lstrip("0")
            check(text == f"its daemon was started again (boot {after}, before: boot {before.lstrip('0')})", text)
        for of in (1, 2):
            text = wait_for_why(cluster, 3, of, "came")
            check(text.startswith("this daemon has started, and found it (boot "), text)


def a_daemon_that_ends():
    with h.Cluster(3) as cluster:
        end_cleanly(cluster, 3)
        for node in (1, 2):
            text = wait_for_why(cluster, node, 3, "left")
            # The farewell may be overtaken by the news of it.
            check(text == "it said so" or text.startswith(f"node {3 - node} took it to have failed"), text)
        check(any(one["trigger"] == "node 3 took its leave" for node in (1, 2) for one in changes(cluster, node)),
              "whoever heard it first says so")


def a_daemon_that_stands_still():
    with h.Cluster(3) as cluster:
        stopped = cluster.pid(2)
        os.kill(stopped, signal.SIGSTOP)
        try:
            for node in (1, 3):
                text = wait_for_why(cluster, node, 2, "left")
                check("nothing was heard of it for " in text, text)
        finally:
            os.kill(stopped, signal.SIGCONT)
        wait_until(lambda: all(cluster.status(node)["votes"] == 3 for node in (1, 2, 3)), "all are together")
        for node in (1, 3):
            text = wait_for_why(cluster, node, 2, "came")
            check(text.startswith("it is back (boot ") and "it was cut off, or stood still" in text, text)


def a_daemon_that_is_new():
    """The third one starts for the first time when the others are a ring already."""
    with h.Cluster(3) as cluster:
        for node in (1, 2, 3):
            cluster.tool("kill", cluster.folder, str(node))
        for node in (1, 2):
            cluster.tool("start", cluster.folder, str(node))
        wait_until(lambda: all(cluster.status(node)["votes"] == 2 for node in (1, 2)), "two are together")
        cluster.tool("start", cluster.folder, "3")
        wait_until(lambda: all(cluster.status(node)["votes"] == 3 for node in (1, 2, 3)), "all are together")
        for node in (1, 2):
            text = wait_for_why(cluster, node, 3, "came")
            boot = incarnation(cluster, 3).lstrip("0")
            check(text == f"its daemon started (boot {boot}), and had been alone", text)


def the_log():
    """What `why` is made of; numbered, in order."""
    with h.Cluster(2) as cluster:
        cluster.tool("kill", cluster.folder, "2")
        wait_for_why(cluster, 1, 2, "left")
        events = ask(cluster, 1, "ring-log")["events"]
        check([one["number"] for one in events] == list(range(1, len(events) + 1)), "numbers")
        check(events[0]["event"] == "install_regular" and events[0]["text"] == "nodes 1", events[0])
        ages = [one["seconds_ago"] for one in events]
        check(ages == sorted(ages, reverse=True), "oldest first")
        departed = [one for one in events if one["event"] == "member_departed"]
        check([one["node"] for one in departed] == [2], departed)
        text = cluster.lockctl(1, "ring-log").stdout
        check(text.splitlines()[0].split() == ["AGO", "RING", "EVENT", "TIMES"], text)
        check("token_lost" in text or "enter_gather" in text, text)


h.main([a_daemon_that_is_killed, a_daemon_that_ends, a_daemon_that_stands_still, a_daemon_that_is_new, the_log])
