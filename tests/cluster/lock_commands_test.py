#!/usr/bin/env python3
"""Locks that scripts hold beyond one command (lockctl lock, convert, unlock, held), and what lockctl shows of locks:
show, ls, why, deadlocks. Against real daemons.

  lock_commands_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import contextlib
import json
import os
import signal
import subprocess

import bad_input_harness as h
from bad_input_harness import LOCKCTL, check, wait_until


class Cluster(h.Cluster):
    """With a folder of its own for the processes that keep locks."""

    def environment(self, node, session=None):
        environment = {**os.environ, "XDG_RUNTIME_DIR": self.parent, "LOCKD_SOCKET": self.socket(node),
                       "PATH": os.path.dirname(LOCKCTL) + ":" + os.environ["PATH"]}
        environment.pop("LOCKCTL_SESSION", None)
        return {**environment, "LOCKCTL_SESSION": session} if session else environment

    def of(self, session, node, *arguments):
        """lockctl as a script of that name would call it. All scripts end with this process."""
        arguments = [*arguments, "--follow", str(os.getpid())] if arguments[0] == "lock" else arguments
        return h.run(LOCKCTL, *arguments, env=self.environment(node, session))

    def sh(self, script, shell="sh"):
        return h.run(shell, "-c", script, env=self.environment(1))

    def ask(self, node, *verb):
        answer = self.lockctl(node, "--json", *verb)
        check(answer.returncode == 0, f"lockctl {verb}: {answer.stderr}")
        return json.loads(answer.stdout)

    def keepers(self):
        """What is in the folder of the keepers."""
        folder = os.path.join(self.parent, "lockctl")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def wait_for_free(self, name):
        wait_until(lambda: self.lockctl(1, "show", name).stdout == f"{name} is free.\n", f"{name} is free")


@contextlib.contextmanager
def waiting(cluster, session, node, *arguments):
    """lockctl in the background."""
    if arguments[0] == "lock":
        arguments = [*arguments, "--follow", str(os.getpid())]
    process = subprocess.Popen([LOCKCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=cluster.environment(node, session))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def succeeds(ended):
    check(ended.returncode == 0, f"it succeeds: {ended}")
    return ended.stdout


def fails(ended, code, why=""):
    check(ended.returncode == code and why in ended.stderr and ended.stdout == "", f"it fails with {code}: {ended}")


def a_lock_outlives_its_command():
    with Cluster(2) as cluster:
        token = int(succeeds(cluster.of("a", 1, "lock", "jobs")))
        check(int(succeeds(cluster.of("a", 1, "held", "jobs"))) == token, "the same token")
        shown = cluster.ask(2, "show", "jobs")["holders"]
        check([(one["token"], one["mode"], one["node"]) for one in shown] == [(token, "EX", 1)], shown)
        check(shown[0]["command"].startswith(f"lockctl lock, for {os.getpid()}: "), shown)
        fails(cluster.of("b", 2, "lock", "jobs", "-n"), 75, "somebody else")
        fails(cluster.of("b", 2, "lock", "jobs", "--wait", "200ms"), 75)
        fails(cluster.of("b", 2, "unlock", "jobs"), 79)
        fails(cluster.of("a", 1, "lock", "jobs"), 64, "already")
        # The lock of the same name in another lockspace, and of another cluster, is another one.
        fails(cluster.of("a", 1, "held", "jobs", "--lockspace", "web"), 79)
        succeeds(cluster.of("a", 1, "unlock", "jobs"))
        check(cluster.keepers() == [], cluster.keepers())
        fails(cluster.of("a", 1, "unlock", "jobs"), 79)
        check(int(succeeds(cluster.of("b", 2, "lock", "jobs", "-n"))) > token, "a higher token")
        # Given back and taken again at once, many times: no command meets the leftovers of the last.
        for _ in range(20):
            succeeds(cluster.of("b", 2, "unlock", "jobs"))
            succeeds(cluster.of("b", 2, "lock", "jobs", "-n"))


def modes_and_values():
    with Cluster(1) as cluster:
        told = json.loads(succeeds(cluster.of("a", 1, "lock", "jobs", "--json", "--mode", "PW", "--read-value")))
        check(told["mode"] == "PW" and told["valid_seconds"] > 0 and told["value"]["text"] == "", told)
        token = int(succeeds(cluster.of("a", 1, "convert", "jobs", "--mode", "PR", "--value", "batch 7")))
        check(token > told["token"], "a conversion has a token of its own")
        check(succeeds(cluster.of("b", 1, "lock", "jobs", "-m", "PR", "--read-value")).split("\n")[1] == "batch 7", "b reads")
        fails(cluster.of("b", 1, "convert", "jobs", "-m", "EX", "-n"), 75)
        fails(cluster.of("b", 1, "unlock", "jobs", "--value", "x"), 64, "EX")
        shown = cluster.ask(1, "show", "jobs")
        check(shown["value"]["text"] == "batch 7" and not shown["value_invalid"], shown)
        check("62617463682037" in cluster.lockctl(1, "show", "jobs").stdout, "for people in hexadecimal, too")
        succeeds(cluster.of("a", 1, "unlock", "jobs"))
        check(succeeds(cluster.of("b", 1, "convert", "jobs", "-m", "EX", "--read-value")).split("\n")[1] == "batch 7",
              "read on the way up")
        succeeds(cluster.of("a", 1, "lock", "jobs", "-m", "NL"))
        succeeds(cluster.of("b", 1, "unlock", "jobs", "--value", "0x00ff"))
        check(cluster.ask(1, "show", "jobs")["value"]["hex"] == "00ff" + 60 * "0", "bytes")
        for wrong in (["lock", "jobs", "-m", "XX"], ["convert", "jobs"], ["unlock", "jobs", "--value", 33 * "x"],
                      ["unlock", "jobs", "--value", "0xf"]):
            check(cluster.of("a", 1, *wrong).returncode == 64, f"usage: {wrong}")


def who_waits_is_told_why():
    with Cluster(2) as cluster:
        check(cluster.lockctl(1, "why", "jobs").stdout == "jobs is free.\n", "free")
        succeeds(cluster.of("a", 1, "lock", "jobs", "-m", "PR"))
        check(cluster.lockctl(1, "why", "jobs").stdout == "Nobody waits for jobs.\n", "nobody waits")
        succeeds(cluster.of("b", 2, "lock", "jobs", "-m", "PR"))
        with waiting(cluster, "c", 2, "lock", "jobs") as request, waiting(cluster, "a", 1, "convert", "jobs", "-m", "EX") as up:
            def rules():
                return [(one["rule"], one["wants"]) for one in cluster.ask(1, "why", "jobs")["waits"]]
            wait_until(lambda: rules() == [("held_mode", "EX"), ("held_mode", "EX")], "both wait")
            with waiting(cluster, "d", 1, "lock", "jobs", "-m", "NL"):
                wait_until(lambda: rules()[2:] == [("request_before", "NL")], "behind the request")
                lines = cluster.lockctl(2, "why", "jobs").stdout.splitlines()
                check(len(lines) == 3 and "waits to convert it to EX, which does not go with the PR of node 2" in lines[0], lines)
                text = cluster.lockctl(2, "show", "jobs").stdout
                check("converts 1" in text and "PR to EX" in text and "waits 2" in text, text)
                dot = cluster.lockctl(1, "deadlocks", "--dot").stdout
                check(dot.startswith("digraph waits {") and dot.count(" -> ") == 4, dot)
                listed = cluster.ask(1, "ls")["locks"]
                check([(one["granted"], one["waiting"]) for one in listed] == [(2, 3)], listed)
                # Whoever gives up the conversion leaves the queue, and holds what it had.
                up.send_signal(signal.SIGINT)
                up.wait()
                wait_until(lambda: len(rules()) == 2, "the conversion was taken back")
                check(cluster.ask(1, "show", "jobs")["holders"][0]["mode"] == "PR", "held as before")
            # Whoever gives up waiting leaves the queue.
            request.terminate()
            request.wait()
            wait_until(lambda: rules() == [], "nobody waits")
        # The ring's own is where it was.
        check(cluster.lockctl(1, "why").stdout.startswith("ring "), "of the ring")
        for wrong in (["why", "jobs", "--all"], ["why", "--lockspace", "x"], ["ls", "a", "--lockspaces"]):
            check(cluster.lockctl(1, *wrong).returncode == 64, f"usage: {wrong}")


def a_deadlock_is_told():
    with Cluster(2) as cluster:
        check(cluster.lockctl(1, "deadlocks").stdout == "No deadlocks.\n", "none yet")
        for session, node in (("a", 1), ("b", 2)):
            succeeds(cluster.of(session, node, "lock", "jobs", "-m", "PR"))
        with waiting(cluster, "a", 1, "convert", "jobs", "-m", "EX") as first:
            wait_until(lambda: len(cluster.ask(1, "why", "jobs")["waits"]) == 1, "the first one converts")
            fails(cluster.of("b", 2, "convert", "jobs", "-m", "EX"), 75)
            told = cluster.ask(1, "deadlocks")["deadlocks"]
            check(len(told) == 1 and [step["wants"] for step in told[0]["steps"]] == ["EX", "EX"], told)
            check({step["waits"]["node"] for step in told[0]["steps"]} == {1, 2}, told)
            text = cluster.lockctl(2, "deadlocks").stdout
            check(text.startswith("the last one: request ") and text.count(" waits for EX on jobs, which node ") == 2, text)
            check("color=red" in cluster.lockctl(2, "deadlocks", "--dot").stdout, "in the graph, too")
            succeeds(cluster.of("b", 2, "unlock", "jobs"))
            check(first.wait(timeout=h.DEADLINE) == 0, "the other one goes on")


def a_lock_ends_with_its_shell():
    with Cluster(1) as cluster:
        ended = cluster.sh("lockctl lock jobs; lockctl show jobs --json; kill -9 $$")
        check(ended.returncode == -signal.SIGKILL and json.loads(ended.stdout.splitlines()[1])["holders"], ended)
        cluster.wait_for_free("jobs")
        wait_until(lambda: cluster.keepers() == [], "the keeper is gone")
        # Whatever the way in which a shell calls it: the shell is the one that was executed.
        for shell in ("sh", "bash"):
            for call in ("token=$(lockctl lock jobs)", "token=$(lockctl lock jobs || exit)", "token=$( (lockctl lock jobs) )",
                         "(lockctl lock jobs > /dev/null); token=$(lockctl held jobs)",
                         "f() { lockctl lock jobs; }; token=$(f | cat)"):
                ended = cluster.sh(f"{call}; test \"$token\" = $(lockctl held jobs) && lockctl unlock jobs && echo good", shell)
                check(ended.stdout == "good\n", f"{shell}: {call}: {ended}")
        # Of two shells each has its own.
        ended = cluster.sh("lockctl lock jobs > /dev/null; sh -c 'lockctl held jobs; echo $?'")
        check(ended.stdout == "79\n", ended)
        # The end of another process.
        with subprocess.Popen(["sleep", "1000"]) as other:
            succeeds(h.run(LOCKCTL, "lock", "jobs", "--follow", str(other.pid), env=cluster.environment(1, "x")))
            other.kill()
        cluster.wait_for_free("jobs")
        fails(h.run(LOCKCTL, "lock", "jobs", "--follow", str(other.pid), env=cluster.environment(1, "x")), 64, "no process")
        # Kept whatever ends.
        cluster.sh("LOCKCTL_SESSION=night lockctl lock jobs --detach")
        succeeds(cluster.of("night", 1, "held", "jobs"))
        succeeds(cluster.of("night", 1, "unlock", "jobs"))


def a_lock_that_nobody_was_told_of_is_given_back():
    with Cluster(1) as cluster:
        with open("/dev/full", "w", encoding="ascii") as full:
            ended = subprocess.run([LOCKCTL, "lock", "jobs", "--detach"], stdout=full, stderr=subprocess.PIPE, text=True,
                                   env=cluster.environment(1, "a"), check=False)
        check(ended.returncode == 70 and "given back" in ended.stderr, ended)
        cluster.wait_for_free("jobs")
        # Killed while it waits.
        with h.holder(cluster, 1, "jobs"), waiting(cluster, "a", 1, "lock", "jobs") as process:
            wait_until(lambda: len(cluster.ask(1, "show", "jobs")["waiters"]) == 1, "it waits")
            process.kill()
            process.wait()
            wait_until(lambda: cluster.ask(1, "show", "jobs")["waiters"] == [], "it left the queue")


def one_of_many_commands_takes_it():
    with Cluster(1) as cluster, contextlib.ExitStack() as stack:
        commands = [stack.enter_context(waiting(cluster, "a", 1, "lock", "jobs")) for _ in range(8)]
        codes = sorted(process.wait(timeout=h.DEADLINE) for process in commands)
        check(codes == [0] + 7 * [64], codes)
        commands = [stack.enter_context(waiting(cluster, "a", 1, "unlock", "jobs")) for _ in range(8)]
        codes = sorted(process.wait(timeout=h.DEADLINE) for process in commands)
        check(codes == [0] + 7 * [79], codes)


def a_lost_lock_is_told():
    with Cluster(1) as cluster:
        succeeds(cluster.of("a", 1, "lock", "jobs"))
        cluster.tool("kill", cluster.folder, "1")
        wait_until(lambda: cluster.of("a", 1, "held", "jobs").returncode == 79, "it is lost")
        fails(cluster.of("a", 1, "unlock", "jobs"), 79)
        check(cluster.keepers() == [], "the keeper has cleaned up")
        fails(cluster.of("a", 1, "lock", "jobs", "-n"), 69)
        check(cluster.keepers() == [], "nothing is left of what failed")


def a_killed_keeper_gives_its_lock_back():
    with Cluster(1) as cluster:
        succeeds(cluster.of("a", 1, "lock", "jobs"))
        os.kill(cluster.ask(1, "show", "jobs")["holders"][0]["pid"], signal.SIGKILL)
        cluster.wait_for_free("jobs")
        fails(cluster.of("a", 1, "held", "jobs"), 79)
        succeeds(cluster.of("a", 1, "lock", "jobs"))
        succeeds(cluster.of("a", 1, "unlock", "jobs"))


def its_folder_is_the_users_own():
    with Cluster(1) as cluster:
        folder = os.path.join(cluster.parent, "lockctl")
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)
        fails(cluster.of("a", 1, "lock", "jobs"), 77, "nobody else can enter")
        os.rmdir(folder)
        os.symlink("/tmp", folder)
        fails(cluster.of("a", 1, "lock", "jobs"), 77)
        os.unlink(folder)


TESTS = [a_lock_outlives_its_command, modes_and_values, who_waits_is_told_why, a_deadlock_is_told,
         a_lock_ends_with_its_shell, a_lock_that_nobody_was_told_of_is_given_back, one_of_many_commands_takes_it,
         a_lost_lock_is_told, a_killed_keeper_gives_its_lock_back, its_folder_is_the_users_own]

h.main(TESTS)
