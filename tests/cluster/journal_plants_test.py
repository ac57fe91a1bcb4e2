#!/usr/bin/env python3
"""examples/journal_recovery, built outside the tree against what was installed: as it is the checker has nothing to say, and
with each rule removed it says what went wrong.

  journal_plants_test.py BUILD-FOLDER CXX [FLAGS]"""

import glob
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

import bad_input_harness as h
from bad_input_harness import Cluster, check

sys.path.append(os.path.join(h.ROOT, "tools"))

from journal_crew import Crew, poll, result

SOURCES = os.path.join(h.ROOT, "examples", "journal_recovery")
LATER = 20
SAME_BLOCKS = ("--pair", "1,2")


class Builder:
    """The example as a stranger would build it, and with a line of it changed."""

    def __init__(self, tree, folder, cxx, flags):
        self.folder, self.cxx, self.flags = folder, cxx, flags
        prefix = os.path.join(folder, "prefix")
        self.run("cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P", os.path.join(tree, "liblock", "cmake_install.cmake"))
        config = [at for at, _, names in os.walk(prefix) if "liblock.pc" in names][0]
        self.environment = {**os.environ, "PKG_CONFIG_PATH": config}
        self.made = os.path.join(folder, "made")
        self.run("cmake", "-S", SOURCES, "-B", self.made, f"-DCMAKE_CXX_COMPILER={cxx}",
                 f"-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror {flags}")
        self.run("cmake", "--build", self.made)
        self.program = os.path.join(self.made, "journal_recovery")
        self.library = os.path.dirname(config)

    def run(self, *command):
        ended = subprocess.run(command, capture_output=True, text=True, env=getattr(self, "environment", None))
        check(ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def plant(self, number, changes):
        """The program with these changes, [(file, old, new)]."""
        folder = os.path.join(self.folder, f"plant{number}")
        shutil.copytree(SOURCES, folder)
        objects = {os.path.basename(path)[:-2]: path
                   for path in glob.glob(os.path.join(self.made, "CMakeFiles", "journal_recovery.dir", "*.o"))}
        for name, old, new in changes:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            check(text.count(old) == 1, f"{name} has '{old}' once")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(old, new))
        for name in {name for name, _, _ in changes}:
            objects[name] = os.path.join(folder, name + ".o")
            self.run(self.cxx, "-std=c++20", *shlex.split(self.flags), *self.words("--cflags"), "-c",
                     os.path.join(folder, name), "-o", objects[name])
        program = os.path.join(folder, "journal_recovery")
        self.run(self.cxx, *shlex.split(self.flags), *objects.values(), *self.words("--libs"), "-pthread",
                 f"-Wl,-rpath,{self.library}", "-o", program)
        return program

    def words(self, what):
        return shlex.split(self.run("pkg-config", what, "liblock"))


def recovered(crew, since, nodes=(1, 3)):
    """When the recovery of node 2's journal is over for these."""
    for node, mark in zip(nodes, since):
        crew.nodes[node].wait_for("is over", mark)


def marks(crew, nodes=(1, 3)):
    return [crew.nodes[node].mark() for node in nodes]


def mount_all(crew, **options):
    for node in (1, 2, 3):
        crew.mount(node, *options.get(f"node{node}", ()))


def killed(crew, point, *options):
    mount_all(crew, node1=options, node2=("--stop-at", f"{point}:{LATER}", *options), node3=options)
    since = marks(crew)
    crew.nodes[2].wait_to_stand_still()
    crew.nodes[2].kill()
    recovered(crew, since)


def before_the_commit(crew):
    killed(crew, "commit")


def after_the_commit(crew):
    killed(crew, "second")


def others_want_its_blocks(crew):
    """They wait for the locks that the dead one had, and are granted them before anything is recovered."""
    killed(crew, "block", *SAME_BLOCKS)


def it_wakes(crew):
    mount_all(crew, node2=("--stop-at", f"second:{LATER}"))
    two = crew.nodes[2]
    since = marks(crew)
    two.wait_to_stand_still()
    recovered(crew, since)
    two.send(signal.SIGCONT)
    check(two.wait() == 3, "it notices, sooner or later")


def one_recovers_slowly(crew):
    """The first node, if it is the one who recovers, stands still before it writes anything again."""
    mount_all(crew, node1=("--stop-at", "replay"), node2=("--stop-at", f"second:{LATER}"))
    one, two, three = (crew.nodes[node] for node in (1, 2, 3))
    since = marks(crew)
    two.wait_to_stand_still()
    two.kill()
    poll(lambda: one.stands_still() or three.find("journal/2: replayed") or not one.runs(), "somebody recovers")
    if crew.planted:
        three.wait_for("is done", three.mark())
    one.send(signal.SIGCONT)
    if not crew.planted:
        recovered(crew, since)


PLANTS = [
    ("the disk looks at no token", it_wakes, "was let in after one with",
     [("disk_server.cc", "if (!inside) {", "if (false) {")]),
    ("one recovers, and the others go on", one_recovers_slowly, "is committed while journal/2 is being recovered",
     [("recovery.cc", "const lock_barrier where = barrier();", "round_ = Round{volume_.generation + 1, {\n"
       "      volume_.owned.is_held() ? volume_.journal : 0}};\n  return;\n  const lock_barrier where = barrier();"),
      ("recovery.cc", "void Recovery::leave() {", "void Recovery::leave() {\n  return;"),
      ("node.cc", "} else if (!watch_.orphaned().empty()) {",
       "} else if (!watch_.orphaned().empty() && (volume_.journal == 1 || !volume_.owned.is_held())) {")]),
    ("what a lock's value says of its last owner is ignored", others_want_its_blocks, "in the place of",
     [("transfer.cc", "if ((lock.notes() & LOCK_NOTE_VALUE_INVALID) != 0) return false;", "(void)lock;")]),
    ("each recovers what others have recovered", after_the_commit, "is recovered a second time",
     [("recovery.cc", "if (!is_clean(lock->notes(), lock->value())) lock->convert", "lock->convert"),
      ("recovery.cc", "  if (is_clean(lock->notes(), lock->value())) {\n    if (suspects", "  if (false) {\n    if (suspects"),
      ("recovery.cc", "|| header->state == State::recovered)", "|| false)")]),
    ("what was not committed is replayed", before_the_commit, "was not committed",
     [("journal.cc", "++replay.dropped;", "replay.committed.push_back(*intent);")]),
    ("a replay adds instead of writing what was to be", after_the_commit, "had announced something else",
     [("recovery.cc", "text_of(block));", "text_of(Block{block.number, block.balance + 1, block.version + 1, block.by}));")]),
    ("blocks are written before the commit", after_the_commit, "was not committed",
     [("transfer.cc", 'volume.write("commit", volume.owned, journal, mark_at, text_of(Mark{intent.name, false}));',
       'volume.write("early", from_lock, block_region(transfer.from), 0, text_of(intent.from));\n'
       '  volume.write("commit", volume.owned, journal, mark_at, text_of(Mark{intent.name, false}));')]),
    ("a journal is never replayed", after_the_commit, "what was replayed or dropped is not what was open",
     [("recovery.cc", "const Replay replay = replay_of(dead.header, sectors);", "const Replay replay;")]),
]


def complaints(program, scenario, planted):
    with Cluster(3) as cluster, Crew(program, cluster.parent, cluster.socket) as crew:
        crew.planted = planted
        scenario(crew)
        crew.end()
        code, lines = crew.check()
        check(result(lines) and (code == 0) == (result(lines)["wrong"] == 0), "\n".join(lines))
        return lines


def main(tree, cxx, *flags):
    with tempfile.TemporaryDirectory(prefix="ringlock-journal.") as folder:
        builder = Builder(tree, folder, cxx, " ".join(flags))
        for scenario in dict.fromkeys(scenario for _, scenario, _, _ in PLANTS):
            lines = complaints(builder.program, scenario, False)
            check(result(lines)["wrong"] == 0, f"{scenario.__name__}, nothing planted:\n" + "\n".join(lines))
            print(f"well: {scenario.__name__}: {lines[-1]}", flush=True)
        for number, (what, scenario, complaint, changes) in enumerate(PLANTS):
            lines = complaints(builder.plant(number, changes), scenario, True)
            found = [line for line in lines if complaint in line]
            check(found, f"{what}: not found:\n" + "\n".join(lines))
            print(f"found: {what}: {found[0]}", flush=True)


main(*sys.argv[1:])
