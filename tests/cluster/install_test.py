#!/usr/bin/env python3
"""What `cmake --install` puts down works wherever it is moved to; the library has a test of its own in
tests/unit/liblock.

  install_test.py BUILD-FOLDER"""

import os
import subprocess
import sys
import tempfile


def run(*command):
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def main(build):
    with tempfile.TemporaryDirectory(prefix="ringlock-install.") as folder:
        run("cmake", "--install", build, "--prefix", os.path.join(folder, "prefix"))
        moved = os.path.join(folder, "moved")
        os.rename(os.path.join(folder, "prefix"), moved)
        for program in ("lockd", "lockctl"):
            if not run(os.path.join(moved, "bin", program), "--version").startswith(program):
                sys.exit(f"{program} --version does not say what it is")
        key = os.path.join(folder, "key")
        run(os.path.join(moved, "bin", "lockctl"), "keygen", key)
        if os.stat(key).st_mode & 0o077:
            sys.exit("others can read the key")


main(sys.argv[1])
