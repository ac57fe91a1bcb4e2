#!/usr/bin/env python3
"""The drop-ins for libdlm: their symbols, a program (libdlm_program.c) that is compiled for our header and, if it is
there, for Debian's, linked with Debian's library where that is there, and run on ours; what stays of processes that are
killed; blocking callbacks across nodes; and the loss of lockd."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

import bad_input_harness as h
from bad_input_harness import BUILD, ROOT, Cluster, check, wait_until

COMPAT = os.path.join(BUILD, "liblock", "compat")
DEBIAN_HEADER = "/usr/include/libdlm.h"
SOURCE = os.path.join(ROOT, "tests", "cluster", "libdlm_program.c")
LIBRARIES = f"{COMPAT}:{os.path.join(BUILD, 'liblock')}"

COMMON = {"dlm_kernel_version", "dlm_library_version", "dlm_create_lockspace", "dlm_new_lockspace", "dlm_open_lockspace",
          "dlm_close_lockspace", "dlm_release_lockspace", "dlm_ls_get_fd", "dlm_get_fd", "dlm_dispatch", "dlm_ls_lock",
          "dlm_ls_lockx", "dlm_ls_lock_wait", "dlm_ls_unlock", "dlm_ls_unlock_wait", "dlm_ls_deadlock_cancel",
          "dlm_ls_purge", "dlm_lock", "dlm_lock_wait", "dlm_unlock", "dlm_unlock_wait"}
THREADED = {"lock_resource", "unlock_resource", "dlm_pthread_init", "dlm_pthread_cleanup", "dlm_ls_pthread_init"}
EX, PERSISTENT, NOQUEUE = "5", "0x80", "0x1"


def done(*command, **options):
    ended = h.run(*command, **options)
    check(ended.returncode == 0, f"{' '.join(command)}: {ended.returncode} {ended.stdout}{ended.stderr}")
    return ended.stdout


def symbols():
    for name, wanted in (("libdlm", COMMON | THREADED), ("libdlm_lt", COMMON)):
        path = os.path.join(COMPAT, f"{name}.so.3")
        listed = [line.split() for line in done("nm", "-D", "--defined-only", path).splitlines()]
        check({words[2] for words in listed} == wanted and {words[1] for words in listed} == {"T"}, f"{name}: {listed}")
        check(f"[{name}.so.3]" in next(line for line in done("readelf", "-dW", path).splitlines() if "SONAME" in line), name)


def programs(folder):
    """{name: path}: for each library, with each header. With Debian's also its library is linked."""
    made = {}
    for kind, flags, library in (("", ["-DTHREADED", "-D_REENTRANT", "-pthread"], "dlm"), ("_lt", [], "dlm_lt")):
        headers = {"ours": ["-I", os.path.join(ROOT, "liblock", "compat"), os.path.join(COMPAT, f"lib{library}.so.3"),
                            f"-Wl,-rpath-link,{os.path.join(BUILD, 'liblock')}"]}
        if os.path.exists(DEBIAN_HEADER):
            headers["debian"] = ["-I", os.path.dirname(DEBIAN_HEADER), f"-l{library}"]
        for header, how in headers.items():
            made[header + kind] = os.path.join(folder, header + kind)
            done("cc", "-Wall", "-Wextra", "-Werror", *flags, SOURCE, *how, "-o", made[header + kind])
    done("c++", "-Wall", "-Wextra", "-fsyntax-only", "-xc++", "-include",
         os.path.join(ROOT, "liblock", "compat", "libdlm.h"), "/dev/null")
    return made


def environment(cluster, node, **more):
    return {**os.environ, "LOCKD_SOCKET": cluster.socket(node), "LD_LIBRARY_PATH": LIBRARIES, **more}


@contextlib.contextmanager
def running(cluster, node, *command, **more):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(cluster, node, **more))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def holds(process):
    check(process.stdout.readline() == "held\n", "it has the lock")


def alone(cluster, program):
    done(program, "alone", env=environment(cluster, 1))


def killed(cluster, program):
    """What a process that was killed has left, and who may take it over."""
    with running(cluster, 1, program, "hold", "plain", EX, "0") as process:
        holds(process)
        process.kill()
        with running(cluster, 2, program, "hold", "plain", EX, "0") as next_one:
            holds(next_one)
    for what in ("adopt", "purge"):
        with running(cluster, 1, program, "hold", what, EX, PERSISTENT) as process:
            holds(process)
        refused = h.run(program, "hold", what, EX, NOQUEUE, env=environment(cluster, 2))
        check(refused.returncode == 1, "the orphan is in the way")
        arguments = [what, EX] if what == "adopt" else [what, str(process.pid)]
        wait_until(lambda words=(what, *arguments): h.run(program, *words, env=environment(cluster, 1)).returncode == 0, what)
        with running(cluster, 2, program, "hold", what, EX, "0") as next_one:
            holds(next_one)


def cached(cluster, program):
    """A lock that is kept until somebody on another node wants it."""
    with running(cluster, 1, program, "cache", "cached") as process:
        holds(process)
        done(program, "want", "cached", env=environment(cluster, 2))
        check(process.stdout.readline() == "read\n" and process.wait(timeout=h.DEADLINE) == 0, "it reads the other's value")


def idle(cluster, program):
    """A program that is busy elsewhere keeps its locks: several leases pass."""
    with running(cluster, 1, program, "hold", "idle", EX, "0") as process:
        holds(process)
        time.sleep(6)
        check(process.poll() is None, "it lives")
        refused = h.run(program, "hold", "idle", EX, NOQUEUE, env=environment(cluster, 2))
        check(refused.returncode == 1, "and has its lock")


def lost(cluster, program):
    """Without lockd for longer than a lease."""
    with running(cluster, 3, program, "hold", "lost", EX, "0") as ends, \
            running(cluster, 3, program, "hold", "ignored", EX, "0", LIBDLM_ON_LOST="ignore") as goes_on:
        holds(ends)
        holds(goes_on)
        cluster.tool("kill", cluster.folder, "3")
        check(ends.wait(timeout=h.DEADLINE) == -signal.SIGABRT, "it ends, before others have the lock")
        for name in ("lost", "ignored"):
            with running(cluster, 1, program, "hold", name, EX, "0") as next_one:
                holds(next_one)
        check(goes_on.poll() is None, "it was told to go on")
    ended = h.run(program, "hold", "none", EX, "0", env=environment(cluster, 3))
    check(ended.returncode == 1 and "errno 49" in ended.stderr, f"EUNATCH: {ended.stderr}")
    cluster.tool("start", cluster.folder, "3")


def main():
    symbols()
    with tempfile.TemporaryDirectory(prefix="ringlock-libdlm.") as folder, Cluster(3) as cluster:
        for name, program in programs(folder).items():
            alone(cluster, program)
            print(f"alone: {name}", flush=True)
        for test in (killed, cached, idle, lost):
            for name in ("ours_lt", "ours") if test in (killed, cached) else ("ours_lt",):
                test(cluster, os.path.join(folder, name))
            print(test.__name__, flush=True)
    print("libdlm_test: all passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
