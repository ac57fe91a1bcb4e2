#!/usr/bin/env python3
"""examples/shared_value, built outside the tree against what was installed: the value goes from one program to the other,
and who follows it is notified and makes way.

  value_examples_test.py BUILD-FOLDER CC CXX [FLAGS]
  value_examples_test.py --programs FOLDER            built already"""

import os
import subprocess
import sys
import tempfile

import bad_input_harness as h
from bad_input_harness import ROOT, check


def build(tree, folder, cc, cxx, flags):
    """The examples as a stranger would build them."""
    prefix = os.path.join(folder, "prefix")
    made = os.path.join(folder, "made")
    for command in (["cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P", os.path.join(tree, "liblock", "cmake_install.cmake")],
                    ["cmake", "-S", os.path.join(ROOT, "examples", "shared_value"), "-B", made, f"-DCMAKE_C_COMPILER={cc}",
                     f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_C_FLAGS=-Wall -Wextra -Werror {flags}",
                     f"-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror {flags}"],
                    ["cmake", "--build", made]):
        config = [at for at, _, names in os.walk(prefix) if "liblock.pc" in names]
        ended = h.run(*command, env={**os.environ, "PKG_CONFIG_PATH": "".join(config)})
        check(ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}")
    return made


def counting(programs):
    with h.Cluster(2) as cluster:
        follow, count = (os.path.join(programs, name) for name in ("follow_count", "count_up"))
        environments = [{**os.environ, "LOCKD_SOCKET": cluster.socket(node)} for node in (1, 2)]
        with subprocess.Popen([follow, "5"], stdout=subprocess.PIPE, text=True, env=environments[0]) as follower:
            try:
                check(follower.stdout.readline() == "\n", "there is no value yet")
                for number in range(1, 6):
                    ended = h.run(count, env=environments[1])
                    check(ended.returncode == 0 and ended.stdout == f"{number}\n", ended)
                    check(follower.stdout.readline() == f"{number}\n", f"it follows to {number}")
                check(follower.wait(timeout=h.DEADLINE) == 0, "it ends with the last one")
            finally:
                follower.kill()
        # Forgotten with the last lock.
        check(h.run(count, env=environments[1]).stdout == "1\n", "from the beginning")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--programs":
        counting(sys.argv[2])
        return
    tree, cc, cxx, *flags = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="ringlock-values.") as folder:
        counting(build(tree, folder, cc, cxx, " ".join(flags)))


main()
