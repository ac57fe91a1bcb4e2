#!/usr/bin/env python3
"""lockctl against real daemons: exit codes, what passes through to the command, and that the command is ended before
anybody else gets its lock."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import time

import bad_input_harness as h
from bad_input_harness import LOCKCTL, Cluster, check, wait_until


def run(cluster, node, *arguments, **options):
    return h.run(LOCKCTL, "--socket", cluster.socket(node), "run", *arguments, **options)


@contextlib.contextmanager
def running(cluster, node, *arguments, **options):
    """lockctl run in the background; killed at the end if it still runs."""
    process = subprocess.Popen([LOCKCTL, "--socket", cluster.socket(node), "run", *arguments],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def line(process):
    return process.stdout.readline().rstrip("\n")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def waiters(cluster, node, name):
    return json.loads(cluster.lockctl(node, "--json", "show", name).stdout)["waiters"]


# What a shell does that waits for a signal: one that comes right before it would read is not seen until it has read.
WAIT = "while :; do sleep 0.05; done"


# A command that does not want to end, with a descendant of its own which notes the boot clock all the time. Prints the
# numbers of both once something is noted.
def stubborn(stamps):
    note = f"while :; do read -r up x < /proc/uptime; echo $up >> {stamps}; done"
    return ["sh", "-c", f"trap '' TERM; ({note}) & until [ -s {stamps} ]; do :; done; echo $$ $!; wait; while :; do wait; done"]


def last_stamp(stamps):
    """The last whole line; the writer was killed in the middle of anything."""
    with open(stamps, encoding="ascii") as file:
        return float(file.read().rsplit("\n", 1)[0].rsplit("\n", 1)[-1])


def exit_codes():
    with Cluster(1) as cluster:
        for code in (0, 1, 42, 255):
            check(run(cluster, 1, "a", "--", "sh", "-c", f"exit {code}").returncode == code, f"the command's own {code}")
        check(run(cluster, 1, "a", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + 15, "128 + N")
        check(run(cluster, 1, "a", "--", "no-such-command").returncode == 127, "127 not found")
        check(run(cluster, 1, "a", "--", cluster.folder).returncode == 126, "126 can not execute")
        with h.holder(cluster, 1, "busy"):
            check(run(cluster, 1, "busy", "-n", "--", "true").returncode == 75, "75 busy")
            check(run(cluster, 1, "-E", "9", "-n", "busy", "--", "true").returncode == 9, "-E 9")
            start = time.monotonic()
            check(run(cluster, 1, "--wait", "300ms", "busy", "--", "true").returncode == 75, "75 after --wait")
            check(time.monotonic() - start >= 0.3, "--wait waits")
        check(run(cluster, 1, "-n", "busy", "--", "true").returncode == 0, "free again")
        for arguments in (["a"], ["a", "--wait", "soon", "--", "true"], ["-n", "--wait", "1s", "a", "--", "true"]):
            check(run(cluster, 1, *arguments).returncode == 64, f"64 usage: {arguments}")
    for arguments in (["run", "-n", "a", "--", "true"], ["run", "a", "--", "true"], ["ls"], ["show", "a"], ["status"], ["members"]):
        ended = h.run(LOCKCTL, "--socket", "/nonexistent/socket", *arguments)
        check(ended.returncode == 69 and "/nonexistent/socket" in ended.stderr, f"69 no daemon: {arguments} {ended}")


def names():
    with Cluster(1) as cluster:
        for bad, why in (("", "empty"), ("x" * 256, "255 bytes"), ("a\nb", "control"), ("\x1b[2J", "control"),
                         (b"\xff".decode("utf-8", "surrogateescape"), "UTF-8")):
            for arguments in (["run", bad, "--", "true"], ["show", bad]):
                ended = cluster.lockctl(1, *arguments)
                check(ended.returncode == 64 and why in ended.stderr, f"{bad!r}: {ended}")
                check("\x1b" not in ended.stderr, "the terminal is left in peace")
        for good in ("x" * 255, "db/migrate", "Zürich €", "a b"):
            check(cluster.lockctl(1, "run", good, "--", "true").returncode == 0, good)


def passes_through():
    with Cluster(1) as cluster:
        ended = run(cluster, 1, "a", "--", "sh", "-c", "cat; echo $LOCK_NAME $LOCK_MODE; pwd; echo e >&2",
                    input="from stdin\n", cwd="/")
        check(ended.stdout == "from stdin\na EX\n/\n" and ended.stderr == "e\n", f"streams and folder: {ended}")
        check(run(cluster, 1, "-s", "a", "--", "sh", "-c", "echo $LOCK_MODE").stdout == "PR\n", "LOCK_MODE")
        tokens = [int(run(cluster, 1, "a", "--", "sh", "-c", "echo $LOCK_TOKEN").stdout) for _ in range(3)]
        check(tokens == sorted(set(tokens)) and tokens[0] > 0, f"tokens grow: {tokens}")
        with running(cluster, 1, "--json", "a", "--", "true") as process:
            check(process.wait(timeout=h.DEADLINE) == 0, "--json")
            report = json.loads(process.stderr.read())
            check(report["exit_code"] == 0 and not report["lost"] and report["token"] > tokens[-1], f"{report}")


def shared_and_exclusive():
    with Cluster(3) as cluster:
        with running(cluster, 1, "-s", "a", "--", "sh", "-c", "echo in; cat") as first:
            check(line(first) == "in", "the first shares")
            check(run(cluster, 2, "-s", "-n", "a", "--", "true").returncode == 0, "another shares")
            check(run(cluster, 3, "-x", "-n", "a", "--", "true").returncode == 75, "nobody is alone")


def the_queue_is_seen():
    with Cluster(3) as cluster:
        with h.holder(cluster, 1, "a"), running(cluster, 2, "a", "--", "echo", "second") as second:
            wait_until(lambda: len(waiters(cluster, 1, "a")) == 1, "the second waits")
            with running(cluster, 3, "a", "--", "echo", "third") as third:
                wait_until(lambda: len(waiters(cluster, 1, "a")) == 2, "the third waits")
                for node in (1, 2, 3):
                    wait_until(lambda n=node: [w["node"] for w in waiters(cluster, n, "a")] == [2, 3], "in order")
                    listed = json.loads(cluster.lockctl(node, "ls", "--json").stdout)["locks"]
                    check([(lock["name"], lock["granted"], lock["waiting"], lock["node"]) for lock in listed]
                          == [("a", 1, 2, 1)], f"{listed}")
                check("waits 2" in cluster.lockctl(1, "show", "a").stdout, "for people")
                check(cluster.lockctl(1, "ls", "zzz").stdout == "No locks.\n", "a prefix")
                # A waiter that is interrupted gives up its place.
                second.send_signal(signal.SIGTERM)
                check(second.wait(timeout=h.DEADLINE) == -signal.SIGTERM, "it dies of the signal")
                wait_until(lambda: [w["node"] for w in waiters(cluster, 1, "a")] == [3], "its place is gone")
                check(third.poll() is None, "the third still waits")
        members = json.loads(cluster.lockctl(2, "members", "--json").stdout)["members"]
        check([(m["node"], m["state"], m["self"]) for m in members] ==
              [(1, "active", False), (2, "active", True), (3, "active", False)], f"{members}")


def signals_reach_the_command():
    with Cluster(1) as cluster:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            name = number.name.removeprefix("SIG")
            script = f"trap 'echo got {name}; exit 3' {name}; echo up; {WAIT}"
            with running(cluster, 1, "a", "--", "sh", "-c", script) as process:
                check(line(process) == "up", "it runs")
                process.send_signal(number)
                check(line(process) == f"got {name}", name)
                check(process.wait(timeout=h.DEADLINE) == 3, "its own exit code")


def a_killed_lockctl_takes_its_command_along():
    with Cluster(1) as cluster:
        stamps = cluster.path("stamps")
        with running(cluster, 1, "a", "--", *stubborn(stamps)) as process:
            family = [int(pid) for pid in line(process).split()]
            process.kill()
            after = run(cluster, 1, "--wait", "60s", "a", "--", "cat", "/proc/uptime").stdout
            check(last_stamp(stamps) <= float(after.split()[0]), "it was dead before the next holder ran")
            wait_until(lambda: not any(map(is_running, family)), "the whole group is dead")


def a_lost_lock_ends_its_command_in_time():
    with Cluster(3) as cluster:
        for how in ("kill", "stop"):
            stamps = cluster.path("stamps." + how)
            with running(cluster, 3, "a", "--", *stubborn(stamps)) as process:
                family = [int(pid) for pid in line(process).split()]
                with running(cluster, 1, "--wait", "60s", "a", "--", "cat", "/proc/uptime") as other:
                    wait_until(lambda: waiters(cluster, 1, "a"), "another waits")
                    daemon = cluster.pid(3)
                    if how == "kill":
                        cluster.tool("kill", cluster.folder, "3")
                    else:
                        os.kill(daemon, signal.SIGSTOP)
                    try:
                        check(process.wait(timeout=h.DEADLINE) == 79, "79 lost")
                        check("lost" in process.stderr.read(), "it says so")
                        wait_until(lambda: not any(map(is_running, family)), "the whole group is dead")
                        granted = float(line(other).split()[0])
                        check(last_stamp(stamps) <= granted, f"dead before the grant at {granted}")
                        check(other.wait(timeout=h.DEADLINE) == 0, "the next holder ran")
                    finally:
                        if how == "stop":
                            os.kill(daemon, signal.SIGCONT)
            if how == "kill":
                cluster.tool("start", cluster.folder, "3")


def a_frozen_command_writes_nothing_when_the_next_has_the_lock():
    with Cluster(3) as cluster:
        stamps = cluster.path("stamps")
        with running(cluster, 3, "--on-lost", "freeze", "a", "--", *stubborn(stamps)) as process:
            family = [int(pid) for pid in line(process).split()]
            with running(cluster, 1, "--wait", "60s", "a", "--", "cat", "/proc/uptime") as other:
                wait_until(lambda: waiters(cluster, 1, "a"), "another waits")
                cluster.tool("kill", cluster.folder, "3")
                granted = float(line(other).split()[0])
                check(other.wait(timeout=h.DEADLINE) == 0, "the next holder ran")
            check(last_stamp(stamps) <= granted, f"stopped before the grant at {granted}")
            check(all(map(is_running, family)) and process.poll() is None, "it is there to be looked at")
            process.send_signal(signal.SIGTERM)
            check(process.wait(timeout=h.DEADLINE) == 79, "79 lost")
            check("is stopped" in process.stderr.read(), "it says how to go on")
            wait_until(lambda: not any(map(is_running, family)), "the whole group is dead")


def guard_of(process):
    """The first process of the group of lockctl's command."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return next(int(pid) for pid in file.read().split() if os.getpgid(int(pid)) == int(pid))


def a_freezer_stops_what_left_the_group():
    frozen_and_ended(lambda process: process.send_signal(signal.SIGTERM))


def a_frozen_command_ends_though_its_guard_was_killed():
    frozen_and_ended(lambda process: os.kill(guard_of(process), signal.SIGKILL))


def frozen_and_ended(end):
    """A command loses its lock, is stopped with what has left its group, and `end` ends it, by way of lockctl."""
    with Cluster(3) as cluster:
        stamps = cluster.path("stamps")
        note = f"echo $$; while :; do read -r up x < /proc/uptime; echo $up >> {stamps}; done"
        script = f"setsid sh -c '{note}' & until [ -s {stamps} ]; do :; done; wait"
        with running(cluster, 3, "--on-lost", "freeze", "a", "--", "sh", "-c", script) as process:
            escaped = int(line(process))
            try:
                with running(cluster, 1, "--wait", "60s", "a", "--", "cat", "/proc/uptime") as other:
                    wait_until(lambda: os.path.exists(stamps) and waiters(cluster, 1, "a"), "another waits")
                    cluster.tool("kill", cluster.folder, "3")
                    granted = float(line(other).split()[0])
                    check(other.wait(timeout=h.DEADLINE) == 0, "the next holder ran")
                if "cgroup.freeze" not in process.stderr.readline():
                    print("NOT RUN: no cgroup of version 2 that we may write")
                    return
                check(last_stamp(stamps) <= granted, f"stopped before the grant at {granted}")
                end(process)
                check(process.wait(timeout=h.DEADLINE) == 79, "79 lost")
                wait_until(lambda: not is_running(escaped), "it ends with lockctl")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(escaped, signal.SIGKILL)


def what_left_the_group_is_for_tokens_alone():
    """The limit that docs/safety.md names: a process that made itself a session of its own outlives the lock."""
    with Cluster(3) as cluster:
        script = "setsid sleep 1000 & echo $!; wait"
        with running(cluster, 3, "a", "--", "sh", "-c", script) as process:
            escaped = int(line(process))
            try:
                cluster.tool("kill", cluster.folder, "3")
                check(process.wait(timeout=h.DEADLINE) == 79, "79 lost")
                check(run(cluster, 1, "--wait", "60s", "a", "--", "true").returncode == 0, "the next has the lock")
                check(is_running(escaped), "who left the group is not ended")
            finally:
                os.kill(escaped, signal.SIGKILL)


def a_grace_to_clean_up():
    with Cluster(3) as cluster:
        script = f"trap 'echo cleaned; exit 5' TERM; echo up; {WAIT}"
        with running(cluster, 3, "--grace", "800ms", "a", "--", "sh", "-c", script) as process:
            check(line(process) == "up", "it runs")
            cluster.tool("kill", cluster.folder, "3")
            check(process.wait(timeout=h.DEADLINE) == 79, "79 although the command ended by itself")
            check(line(process) == "cleaned", "it had time to clean up")


def without_a_quorum():
    with Cluster(3) as cluster, running(cluster, 1, "known", "--", "sh", "-c", "echo held; cat") as holder:
        check(line(holder) == "held", "a lock is held before the quorum is lost")
        cluster.tool("kill", cluster.folder, "2")
        cluster.tool("kill", cluster.folder, "3")
        wait_until(lambda: not cluster.status(1)["primary"], "node 1 sees that it is alone")
        check(run(cluster, 1, "-n", "a", "--", "true").returncode == 69, "-n answers at once")
        ended = run(cluster, 1, "--wait", "500ms", "a", "--", "true")
        check(ended.returncode == 69, f"69 after --wait: {ended}")
        ended = cluster.lockctl(1, "ls")
        check(ended.returncode == 0 and "no quorum" in ended.stdout and "known" in ended.stdout,
              f"a list is given all the same, as an old one: {ended}")
        with running(cluster, 1, "--wait", "100s", "a", "--", "echo", "done") as process:
            cluster.tool("start", cluster.folder, "2")
            check(line(process) == "done", "--wait waits until there is a quorum again")


def waiting_outlives_a_daemon():
    with Cluster(3) as cluster:
        with h.holder(cluster, 1, "a"), running(cluster, 3, "--wait", "100s", "a", "--", "echo", "done") as process:
            wait_until(lambda: waiters(cluster, 1, "a"), "it waits")
            cluster.tool("kill", cluster.folder, "3")
            cluster.tool("start", cluster.folder, "3")
            wait_until(lambda: waiters(cluster, 1, "a"), "it waits again")
            check(process.poll() is None, "and has not given up")


def a_session_goes_on_at_another_daemon():
    with Cluster(3) as cluster:
        cluster.restart_with("lease_ms = 20000")
        both = f"{cluster.socket(1)}:{cluster.socket(2)}"
        command = [LOCKCTL, "--socket", both, "run", "a", "--", "sh", "-c", "echo $LOCK_TOKEN; cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            try:
                token = int(line(holder))

                def held_at():
                    answer = cluster.lockctl(3, "--json", "show", "a")
                    holders = json.loads(answer.stdout)["holders"] if answer.returncode == 0 else []
                    return [(held["node"], held["token"]) for held in holders]

                check(held_at() == [(1, token)], f"held at its own: {held_at()}")
                cluster.tool("kill", cluster.folder, "1")
                wait_until(lambda: held_at() == [(2, token)], "the same grant at the other")
                cluster.tool("start", cluster.folder, "1")
                wait_until(lambda: cluster.status(1)["primary"], "node 1 is back")
                # And back again, to a daemon that was started anew.
                cluster.tool("kill", cluster.folder, "2")
                wait_until(lambda: held_at() == [(1, token)], "the same grant at the first, in its second life")
                check(run(cluster, 3, "-n", "a", "--", "true").returncode == 75, "nobody else has it")
                holder.stdin.close()
                check(holder.wait(timeout=h.DEADLINE) == 0, "it was never lost")
            finally:
                holder.kill()


def another_time_namespace():
    """The clocks of a container may be far from those of its machine."""
    as_nobody = ["--user", "--map-root-user"] if os.geteuid() != 0 else []
    for ahead in (1_000_000, -1000):
        inside = ["unshare", *as_nobody, "--time", "--fork", "--boottime", str(ahead), "--monotonic", str(ahead)]
        if (tried := h.run(*inside, "true")).returncode != 0:
            print(f"NOT RUN: another_time_namespace: {tried.stderr.strip()}")
            return
        with Cluster(3) as cluster:
            stamps = cluster.path("stamps")
            command = [*inside, "--kill-child", LOCKCTL, "--socket", cluster.socket(3), "run", "a", "--", *stubborn(stamps)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
                try:
                    line(holder)
                    with running(cluster, 1, "--wait", "60s", "a", "--", "cat", "/proc/uptime") as other:
                        wait_until(lambda: waiters(cluster, 1, "a"), "another waits")
                        began = last_stamp(stamps)
                        wait_until(lambda: last_stamp(stamps) > began + 3, "it is held for longer than a lease")
                        check(other.poll() is None and holder.poll() is None, "renewals count")
                        cluster.tool("kill", cluster.folder, "3")
                        check(holder.wait(timeout=h.DEADLINE) == 79, "79 lost")
                        granted = float(line(other).split()[0])
                        check(last_stamp(stamps) <= granted + ahead, f"dead before the grant at {granted}")
                        check(other.wait(timeout=h.DEADLINE) == 0, "the next holder ran")
                finally:
                    holder.kill()


class Terminal:
    """A shell with a terminal, as a person uses it."""

    def __init__(self, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**os.environ, **environment, "PS1": "$ "})
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGHUP)
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, text):
        end = time.monotonic() + h.DEADLINE
        while text not in self.seen:
            check(time.monotonic() < end, f"deadline: {text!r} in {self.seen!r}")
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
        self.seen = self.seen.split(text, 1)[1]


def a_terminal_belongs_to_the_command():
    with Cluster(1) as cluster:
        environment = {"LOCKD_SOCKET": cluster.socket(1), "L": LOCKCTL}
        with Terminal(environment) as terminal:
            # What is typed is echoed too: expected words are put together by the command.
            terminal.type("$L run a -- sh -c 'echo u''p; read x; echo got-$x'\n")
            terminal.read_until("up\r\n")
            terminal.type("hello\n")
            terminal.read_until("got-hello")
            # ^C ends the command and what the shell was about to do after it.
            terminal.type("for i in 1 2 3; do $L run a -- sh -c 'echo ro''und-$0; read x' $i; done; echo co''de-$?\n")
            terminal.read_until("round-1\r\n")
            terminal.type("\x03")
            terminal.read_until("$ ")
            terminal.type("echo mo''re\n")
            terminal.read_until("more\r\n")
            check("round-2" not in terminal.seen, "^C ended the loop")
            # ^Z stops it, fg goes on.
            terminal.type("$L run a -- sh -c 'echo u''p; read x; echo got-$x'\n")
            terminal.read_until("up\r\n")
            terminal.type("\x1a")
            terminal.read_until("Stopped")
            terminal.type("fg\n")
            terminal.type("again\n")
            terminal.read_until("got-again")
            # In a pipeline the keys are the other program's, unless the command asks for them.
            terminal.type("$L run a -- echo fro''m | sh -c 'read l; echo u''p-$l; read k < /dev/tty; echo got-$l-$k'\n")
            terminal.read_until("up-from\r\n")
            terminal.type("key\n")
            terminal.read_until("got-from-key")
            terminal.type("$L run a -- sh -c 'echo u''p >&2; read x; echo got-$x' | cat\n")
            terminal.read_until("up\r\n")
            terminal.type("key\n")
            terminal.read_until("got-key")
            # In the background it may ask for them too: then it waits for fg.
            terminal.read_until("$ ")
            terminal.type("$L run a -- sh -c 'read x; echo got-$x' &\n")
            terminal.read_until("$ ")
            terminal.type("while ! jobs | grep -q Stop''ped; do :; done; echo as''ks; fg\n")
            terminal.read_until("asks\r\n")
            terminal.type("late\n")
            terminal.read_until("got-late")
            terminal.type("$L run -n a -- echo fr''ee\n")
            terminal.read_until("free\r\n")


h.main([exit_codes, names, passes_through, shared_and_exclusive, the_queue_is_seen, signals_reach_the_command,
        a_killed_lockctl_takes_its_command_along, a_lost_lock_ends_its_command_in_time, a_grace_to_clean_up,
        a_frozen_command_writes_nothing_when_the_next_has_the_lock, a_freezer_stops_what_left_the_group,
        a_frozen_command_ends_though_its_guard_was_killed,
        a_session_goes_on_at_another_daemon, another_time_namespace, what_left_the_group_is_for_tokens_alone,
        without_a_quorum, waiting_outlives_a_daemon, a_terminal_belongs_to_the_command])
