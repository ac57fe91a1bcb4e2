#!/usr/bin/env python3
"""examples/chat, built outside the tree against what was installed, and moved: three of them print the same lines in
the same order.

  chat_test.py BUILD-FOLDER CXX [FLAGS]"""

import os
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEADLINE = 120
NODES = (1, 2, 3)
LINES = 20  # Of each.

# What is installed and is not the program's business would be a promise that nobody keeps.
HEADERS = """base/bytes.h base/ids.h base/random.h base/result.h base/time.h evs/config.h evs/event.h evs/explanation.h
             evs/flight_recorder.h evs/net/embedded_member.h evs/node.h evs/node_status.h evs/statistics.h
             evs/trace.h""".split()


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def run(*command):
    ended = subprocess.run(command, capture_output=True, text=True)
    check(ended.returncode == 0, f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def build(tree, folder, cxx, flags):
    """The example as a stranger would build it. The package works wherever it is moved to."""
    run("cmake", f"-DCMAKE_INSTALL_PREFIX={folder}/prefix", "-P", os.path.join(tree, "evs", "net", "cmake_install.cmake"))
    moved = os.path.join(folder, "moved")
    os.rename(os.path.join(folder, "prefix"), moved)
    include = os.path.join(moved, "include", "ringlock")
    found = sorted(os.path.relpath(os.path.join(at, name), include)
                   for at, _, names in os.walk(include) for name in names)
    check(found == HEADERS, f"the headers that are installed: {found}")
    for header in HEADERS:
        if not header.startswith("base/"):
            text = open(os.path.join(include, header), encoding="utf-8").read()
            for name in re.findall(r'#include "([^"]*)"', text):
                check(name in HEADERS, f"{header} includes {name}, which is not installed")
    made = os.path.join(folder, "chat")
    run("cmake", "-S", os.path.join(ROOT, "examples", "chat"), "-B", made, f"-DCMAKE_PREFIX_PATH={moved}",
        f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror {flags}")
    run("cmake", "--build", made)
    return os.path.join(made, "chat")


def free_addresses(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Chat:
    def __init__(self, program, key, node, addresses):
        ring = [f"{i}={address}" for i, address in zip(NODES, addresses)]
        self.node, self.said, self.lines = node, [], queue.Queue()
        self.process = subprocess.Popen([program, key, str(node), *ring], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def read_until(self, done, what):
        """Reads on until what was printed so far is enough."""
        end = time.monotonic() + DEADLINE
        while not done(self.said):
            try:
                line = self.lines.get(timeout=max(0.1, end - time.monotonic()))
            except queue.Empty:
                check(False, f"deadline: node {self.node}: {what}: {self.said}")
            check(line is not None, f"node {self.node} ended instead: {what}: {self.said}")
            self.said.append(line)

    def messages(self):
        return [line for line in self.said if not line.startswith("here:")]


def talk(program, folder):
    key = os.path.join(folder, "key")
    with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(os.urandom(32))
    addresses = free_addresses(len(NODES))
    chats = []
    try:
        for node in NODES:
            chats.append(Chat(program, key, node, addresses))
        for chat in chats:
            chat.read_until(lambda said: "here: 1 2 3" in said, "all three are here")
        for number in range(LINES):
            for chat in chats:
                chat.say(f"line {number} of {chat.node}")
        for chat in chats:
            chat.read_until(lambda said: sum(not line.startswith("here:") for line in said) == LINES * len(NODES),
                            "all lines of all")
        for chat in chats:
            check(chat.messages() == chats[0].messages(), f"one order: {chats[0].said} {chat.said}")
        for node in NODES:
            own = [line for line in chats[0].messages() if line.startswith(f"{node}: ")]
            check(own == [f"{node}: line {number} of {node}" for number in range(LINES)], f"those of {node}: {own}")

        # Who takes leave is gone at once for the others, and ends well.
        chats[2].process.stdin.close()
        check(chats[2].process.wait(timeout=DEADLINE) == 0, "the third one ends")
        for chat in chats[:2]:
            chat.read_until(lambda said: said[-1] == "here: 1 2", "two are left")
        chats[0].say("still here")
        for chat in chats[:2]:
            chat.read_until(lambda said: said[-1] == "1: still here", "two go on")
    finally:
        for chat in chats:
            chat.process.kill()
            chat.process.wait()


def refuses(program, folder):
    """Bad input ends with a sentence that says what to do."""
    ended = subprocess.run([program, os.path.join(folder, "absent"), "1", "1=127.0.0.1:1"], capture_output=True, text=True)
    check(ended.returncode == 1 and "absent" in ended.stderr, f"no key file: {ended}")
    ended = subprocess.run([program, os.path.join(folder, "key"), "2", "1=127.0.0.1:1"], capture_output=True, text=True)
    check(ended.returncode == 1 and "self" in ended.stderr, f"not one of the nodes: {ended}")


def main(tree, cxx, flags=""):
    with tempfile.TemporaryDirectory(prefix="ringlock-chat.") as folder:
        program = build(tree, folder, cxx, flags)
        talk(program, folder)
        refuses(program, folder)


main(*sys.argv[1:])
