#!/usr/bin/env python3
"""What `cmake --install` puts down works where it was put: programs run, and a C and a C++ program build with pkg-config.

  install_test.py BUILD-FOLDER"""

import os
import subprocess
import sys
import tempfile

C_PROGRAM = r"""
#include <liblock/lock.h>
#include <liblock/query.h>
#include <stdio.h>

int main(void) {
  lock_client* client = NULL;
  int error = lock_connect(NULL, &client);
  printf("%d %s\n", error == LOCK_ERROR_NO_DAEMON, lock_strerror(error));
  lock_close(client);
  return 0;
}
"""

CXX_PROGRAM = C_PROGRAM.replace("#include <liblock/query.h>", "#include <liblock/lock.hpp>")


def run(*command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, **options)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def main(build):
    with tempfile.TemporaryDirectory(prefix="ringlock-install.") as folder:
        prefix = os.path.join(folder, "moved")
        run("cmake", "--install", build, "--prefix", os.path.join(folder, "prefix"))
        # Nothing in it may depend on where it was first.
        os.rename(os.path.join(folder, "prefix"), prefix)
        files = {name: os.path.join(parent, name) for parent, _, names in os.walk(prefix) for name in names}
        for program in ("lockd", "lockctl"):
            if not run(files[program], "--version").startswith(program):
                sys.exit(f"{program} --version does not say what it is")

        environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(files["liblock.pc"]),
                       "LD_LIBRARY_PATH": os.path.dirname(files["liblock.so"]),
                       "LOCKD_SOCKET": os.path.join(folder, "no.sock")}
        flags = run("pkg-config", "--cflags", "--libs", "liblock", env=environment).split()
        for compiler, name, text in (("cc -std=c99", "program.c", C_PROGRAM), ("c++ -std=c++20", "program.cc", CXX_PROGRAM)):
            source, program = os.path.join(folder, name), os.path.join(folder, name + ".out")
            with open(source, "w", encoding="ascii") as file:
                file.write(text)
            run(*compiler.split(), "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags)
            if not run(program, env=environment).startswith("1 "):
                sys.exit(f"{name}: the library does not say that there is no daemon")


main(sys.argv[1])
