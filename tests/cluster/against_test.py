#!/usr/bin/env python3
"""The drill of tools/demo partition, run against another system: that system grants locks to the programs, its nodes are
harmed, the run is judged and told of. What becomes of its locks is that system's affair, and nothing is asserted of it.

  against_test.py etcd|redlock      ends with 77, and says why, if the system is not installed
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import bad_input_harness as h
from bad_input_harness import check

PROGRAMS = {"etcd": "etcd", "redlock": "redis-server"}
SKIPPED = 77
PARTITION = os.path.join(h.ROOT, "tools", "drill", "partition.py")
SECONDS = 6
GRANTED_LEAST = 20  # A grant or so in a second of quiet; runs have hundreds.

# A partition whose smaller side is one node, a server that dies, one that is stopped, and programs likewise.
SCRIPT = """
0.5 partition 1 2,3,4,5
2   heal
2.2 cut 2 3
2.7 heal
3   kill_daemon 4 0.5
4   pause_daemon 5 0.5
4.6 pause_client 1.1.1 0.3
5   kill_client 3.1.1
"""


def drill(*arguments, path=os.environ["PATH"]):
    return subprocess.run([sys.executable, PARTITION, *arguments], capture_output=True, text=True, timeout=h.DEADLINE,
                          env={**os.environ, "RINGLOCK_BUILD": h.BUILD, "PATH": path})


def main(system):
    if shutil.which(PROGRAMS[system]) is None:
        print(f"skipped: there is no {PROGRAMS[system]} in PATH; tools/install-deps --against {system}")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, "script")
        with open(script, "w", encoding="ascii") as file:
            file.write(SCRIPT)
        ended = drill("--against", system, "--seconds", str(SECONDS), "--script", script, "--report", folder)
        print(ended.stdout)
        check(ended.returncode == 0, f"the drill ended with {ended.returncode}: {ended.stderr}")
        result = re.search(r"^RESULT checks=(\d+) belief_overlaps=\d+ stale_accepted=(\d+|-) token_regressions=(\d+|-) "
                           r"unserved=\d+ late_writes=\d+$", ended.stdout, re.MULTILINE)
        check(result is not None, "the score has the form of Ringlock's")
        check((result[2] == "-") == (system == "redlock"), "who has no tokens has no score for them")
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
            verdict = json.load(file)
        counters = verdict["counters"]
        check(verdict["system"] == system and os.path.exists(os.path.join(folder, "report.html")), "there is a report")
        check(counters["granted"] >= GRANTED_LEAST and counters["applied"] > 0, f"locks were granted: {counters}")
        check(counters["clients"] == 11 and counters["killed"] == 1, "ten programs, and one in the place of the killed")
        for kind in ("partition", "cut", "kill_daemon", "pause_daemon", "pause_client", "kill_client"):
            check(counters[f"fault_{kind}"] == 1, f"there was a {kind}")
        check(all(belief["mode"] == "EX" for beliefs in verdict["beliefs"].values() for belief in beliefs),
              "nobody asks for what the system does not have")

    refused = drill("--against", system, "--profile", "fast")
    check(refused.returncode == 2 and "no profile fast" in refused.stderr, f"a lease that it does not have: {refused}")
    missing = drill("--against", system, path="/nowhere")
    check(missing.returncode == 1 and f"tools/install-deps --against {system}" in missing.stderr,
          f"what to do if it is not installed: {missing}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
