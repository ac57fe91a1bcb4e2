#!/usr/bin/env python3
"""tools/install-deps with a package manager that only pretends: it asks for what is missing, and for nothing else."""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SCRIPT = os.path.join(ROOT, "tools", "install-deps")
USUAL = "/usr/bin:/bin"

PARENT = tempfile.TemporaryDirectory(prefix="ringlock-deps.")
os.chmod(PARENT.name, 0o755)


def check(condition, what):
    if not condition:
        sys.exit(what)


class Machine:
    """A folder of programs that stand before the real ones in PATH, and what they were asked."""

    def __init__(self, missing, root=True, sudo=True, apt_fails=False):
        folder = tempfile.mkdtemp(dir=PARENT.name)
        self.log = os.path.join(folder, "log")
        self.programs = os.path.join(folder, "programs")
        os.mkdir(self.programs)
        os.chmod(folder, 0o755)
        open(self.log, "w", encoding="ascii").close()
        os.chmod(self.log, 0o666)
        names = "|".join(missing) or "nothing-is-missing"
        self.program("dpkg-query", f'case "${{@: -1}}" in {names}) exit 1;; *) echo -n installed;; esac')
        self.program("apt-get", f'echo "apt-get $DEBIAN_FRONTEND $*" >> {self.log}; echo "the words of apt"; '
                     + ("exit 100" if apt_fails else "exit 0"))
        # The script asks the shell who it is, and the shell can not be told otherwise.
        self.become = [] if root == (os.geteuid() == 0) else ["/usr/bin/setpriv", "--reuid", "65534", "--clear-groups"]
        self.sudo = sudo
        if sudo:
            self.program("sudo", f'echo sudo >> {self.log}; exec "$@"')

    def program(self, name, script):
        path = os.path.join(self.programs, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/bash\n" + script + "\n")
        os.chmod(path, 0o755)

    def run(self, *arguments):
        # Without sudo means: in none of the folders, so the needed tools alone are linked.
        path = f"{self.programs}:{USUAL}"
        if not self.sudo:
            for tool in ("env", "mktemp", "rm", "cat", "bash"):
                os.symlink(f"/usr/bin/{tool}", os.path.join(self.programs, tool))
            path = self.programs
        with open(SCRIPT, encoding="utf-8") as script:
            return subprocess.run([*self.become, "/bin/bash", "-s", "--", *arguments], stdin=script, capture_output=True,
                                  text=True, env={"PATH": path})

    def asked(self):
        with open(self.log, encoding="ascii") as file:
            return file.read().splitlines()


def main():
    is_root = os.geteuid() == 0

    well = Machine([], root=is_root)
    ended = well.run()
    check(ended.returncode == 0 and ended.stdout + ended.stderr == "" and well.asked() == [], f"nothing to do: {ended}")

    ended = well.run("--ci")
    check(ended.returncode == 0, "nothing to do for CI")

    for system, package in (("etcd", "etcd-server"), ("redlock", "redis-server")):
        lacks = Machine([package], root=is_root)
        ended = lacks.run("--against", system)
        check(ended.returncode == 0 and lacks.asked()[-1].endswith(f"--no-install-recommends {package}"),
              f"what a drill runs against: {ended} {lacks.asked()}")
        check(lacks.run().returncode == 0 and len([line for line in lacks.asked() if line != "sudo"]) == 2,
              "and only for that")
    ended = well.run("--against", "another")
    check(ended.returncode == 64 and "--against etcd or --against redlock" in ended.stderr, f"no such system: {ended}")

    some = Machine(["libuv1-dev", "cmake"], root=is_root)
    ended = some.run()
    asked = [line for line in some.asked() if line != "sudo"]
    check(ended.returncode == 0 and len(asked) == 2, f"{ended} {asked}")
    check(asked[0].endswith(" update") and asked[1].endswith("--no-install-recommends cmake libuv1-dev"), f"{asked}")
    check(all(line.startswith("apt-get noninteractive ") for line in asked), f"no questions: {asked}")
    check("the words of apt" not in ended.stdout + ended.stderr, "apt is quiet while all is well")
    check(("sudo" in some.asked()) != is_root, "sudo only where it is needed")

    broken = Machine(["cmake"], root=is_root, apt_fails=True)
    ended = broken.run()
    check(ended.returncode != 0 and "the words of apt" in ended.stderr, f"apt's words when it fails: {ended}")

    if is_root:
        user = Machine(["cmake"], root=False)
        ended = user.run()
        check(ended.returncode == 0 and user.asked()[0] == "sudo" and len(user.asked()) == 4, f"{ended} {user.asked()}")
    helpless = Machine(["cmake"], root=False, sudo=False)
    ended = helpless.run()
    check(ended.returncode == 1 and "apt-get install cmake" in ended.stderr, f"says what to do: {ended}")


main()
