"""What the history says so far, for people who watch: read as it is written, judged by nobody."""

import json
import os


class Scoreboard:
    def __init__(self, history):
        self.history = history
        self.read = {}  # Of each file: how much, and the half line at its end.
        self.counts = {"granted": 0, "lost": 0, "refused": 0, "uses": 0}
        self.held = {}  # (client, token): (lock, mode, until)
        self.asked = {}  # (client, op): (lock, mode)

    def refresh(self):
        for name in os.listdir(self.history):
            if name.endswith(".jsonl"):
                self.read_on(os.path.join(self.history, name))

    def read_on(self, path):
        offset, rest = self.read.get(path, (0, b""))
        with open(path, "rb") as file:
            file.seek(offset)
            new = file.read()
        *lines, rest = (rest + new).split(b"\n")
        self.read[path] = offset + len(new), rest
        for line in lines:
            self.take(json.loads(line))

    def take(self, line):
        event, client = line["event"], line.get("client")
        if event == "refused":
            self.counts["refused"] += 1
        elif event == "applied":
            self.counts["uses"] += 1
        elif event == "invoke" and line["call"] == "acquire":
            self.asked[client, line["op"]] = line["lock"], line["mode"]
        elif event == "return" and line.get("token"):
            self.counts["granted"] += 1
            lock, mode = self.asked.pop((client, line["op"]))
            self.held[client, line["token"]] = lock, mode, line["until"]
        elif event == "return":
            self.asked.pop((client, line["op"]), None)
        elif event == "valid":
            if (client, line["token"]) in self.held:
                self.held[client, line["token"]] = *self.held[client, line["token"]][:2], line["until"]
        elif event == "lost":
            self.counts["lost"] += 1
            self.held.pop((client, line["token"]), None)
        elif event == "invoke" and line["call"] == "release":
            self.held.pop((client, line["token"]), None)
        elif event == "fault" and line["kind"] == "kill_client":
            self.held = {key: value for key, value in self.held.items() if key[0] != line["client"]}

    def holders(self, now):
        """{lock: [(client, mode, seconds left)]}, of those whose deadline has not passed."""
        holders = {}
        for (client, _), (lock, mode, until) in self.held.items():
            if until > now:
                holders.setdefault(lock, []).append((client, mode, (until - now) / 1e9))
        return holders

    def node_of_holder(self, now):
        """The node of a client that holds a lock alone, and for longest; None if nobody does."""
        alone = [(left, client) for held in self.holders(now).values() for client, mode, left in held if mode == "EX"]
        return int(max(alone)[1].split(".")[0]) if alone else None

    def waiting(self):
        """How many ask for each lock."""
        waiting = {}
        for lock, _ in self.asked.values():
            waiting[lock] = waiting.get(lock, 0) + 1
        return waiting
