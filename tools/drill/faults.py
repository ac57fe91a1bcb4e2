"""What goes wrong in a drill, drawn from a seed: each fault begins, lasts, and ends; several can overlap."""

import random
import signal

import history

# Of each kind so much weight.
KINDS = {"kill_daemon": 3, "pause_daemon": 3, "kill_client": 3, "pause_client": 3, "partition": 2, "cut": 1, "loss": 1,
         "flap": 1, "restart_all": 0.6}


class Faults:
    """Draws what happens next, and does it. `lease` in seconds is what pauses and cuts are measured by."""

    def __init__(self, nodes, clients, recorder, seed, lease):
        self.nodes = nodes
        self.clients = clients  # With names, alive(name), kill(name), signal(name, number).
        self.recorder = recorder
        self.random = random.Random(seed)
        self.lease = lease
        self.number = 0
        self.active = {}  # Number -> (when it ends, kind, how it ends, whom it concerns).
        self.counts = {kind: 0 for kind in KINDS}

    def step(self, now):
        """Ends what is over, and perhaps begins something. `now` in seconds, of any clock."""
        self.end_due(now)
        self.do(now, self.random.choices(list(KINDS), list(KINDS.values()))[0])

    def end_due(self, now):
        for number in [number for number, (end, *_) in self.active.items() if end <= now]:
            self.end(number)

    def do(self, now, kind, arguments=()):
        """One fault, whose particulars are drawn unless they are given; or `heal`."""
        if kind == "heal":
            self.heal()
        else:
            getattr(self, kind)(now, *arguments)

    def heal(self):
        for number in list(self.active):
            self.end(number)
        self.nodes.heal()

    def next_pause(self):
        """Seconds until the next step."""
        return self.random.uniform(0.2, 1.5) * self.lease

    # ---- The record ----

    def begin(self, now, kind, seconds, undo, concerned=None, **what):
        self.number += 1
        self.counts[kind] += 1
        self.recorder.write(event="fault", kind=kind, id=self.number, **what)
        self.active[self.number] = (now + seconds, kind, undo, concerned)

    def end(self, number):
        _, _, undo, _ = self.active.pop(number)
        undo()
        self.recorder.write(event="heal", id=number)

    def is_concerned(self, whom):
        return any(concerned == whom for *_, concerned in self.active.values())

    def links_are_free(self):
        return not any(kind in ("partition", "cut", "loss", "flap") for _, kind, *_ in self.active.values())

    # ---- Faults ----

    def duration(self):
        """From a tenth of a lease to ten, as often short as long."""
        return self.lease * 10 ** self.random.uniform(-1, 1)

    def some_node(self):
        free = [node for node in self.nodes.ids if self.nodes.runs(node) and not self.is_concerned(("node", node))]
        return self.random.choice(free) if free else None

    def some_client(self):
        free = [name for name in self.clients.names() if self.clients.alive(name) and
                not self.is_concerned(("client", name))]
        return self.random.choice(free) if free else None

    def kill_daemon(self, now, node=None, seconds=None):
        node = self.some_node() if node is None else int(node)
        if node is None or not self.nodes.runs(node):
            return
        seconds = min(self.duration(), 4 * self.lease) if seconds is None else float(seconds)
        self.begin(now, "kill_daemon", seconds, lambda: self.nodes.start(node),
                   ("node", node), node=node)
        self.nodes.kill(node)

    def pause_daemon(self, now, node=None, seconds=None):
        node = self.some_node() if node is None else int(node)
        if node is None or not self.nodes.runs(node):
            return
        seconds = self.duration() if seconds is None else float(seconds)
        self.begin(now, "pause_daemon", seconds, lambda: self.nodes.resume(node), ("node", node), node=node)
        self.nodes.pause(node)

    def kill_client(self, now, name=None):
        name = name or self.some_client()
        if name is None or not self.clients.alive(name):
            return
        before = history.now()
        self.clients.kill(name)  # Dead when the record says so, and perhaps a little earlier.
        self.begin(now, "kill_client", 0, lambda: self.clients.replace(name), ("client", name), client=name,
                   **{"from": before})

    def pause_client(self, now, name=None, seconds=None):
        name = name or self.some_client()
        if name is None or not self.clients.alive(name):
            return
        seconds = self.duration() if seconds is None else float(seconds)
        self.begin(now, "pause_client", seconds, lambda: self.clients.signal(name, signal.SIGCONT),
                   ("client", name), client=name)
        self.clients.signal(name, signal.SIGSTOP)

    def partition(self, now, *groups):
        """`groups` as the relay takes them, and until something heals them."""
        if not self.links_are_free():
            return
        seconds = float("inf") if groups else self.duration()
        groups = [[int(node) for node in group.split(",")] for group in groups]
        if not groups:
            nodes = self.random.sample(self.nodes.ids, len(self.nodes.ids))
            at = self.random.randint(1, len(nodes) - 1)
            groups = [sorted(nodes[:at]), sorted(nodes[at:])]
        self.begin(now, "partition", seconds, self.nodes.heal, groups=groups)
        self.nodes.partition(*groups)

    def cut(self, now, source=None, to=None):
        """One way only."""
        if not self.links_are_free():
            return
        seconds = self.duration() if source is None else float("inf")
        if source is None:
            source, to = self.random.sample(self.nodes.ids, 2)
        self.begin(now, "cut", seconds, self.nodes.heal, source=source, to=to)
        self.nodes.cut(source, to)

    def loss(self, now, percent=None):
        if not self.links_are_free():
            return
        seconds = self.duration() if percent is None else float("inf")
        percent = self.random.choice((5, 10, 30)) if percent is None else int(percent)
        self.begin(now, "loss", seconds, self.nodes.heal, percent=percent)
        self.nodes.set_links(f"loss={percent}")

    def flap(self, now, node=None):
        """A partition as short as a token's time-out, again and again."""
        if not self.links_are_free():
            return
        node = self.random.choice(self.nodes.ids) if node is None else int(node)
        others = [other for other in self.nodes.ids if other != node]
        self.begin(now, "flap", self.lease / 6, self.nodes.heal, node=node)
        self.nodes.partition([node], others)

    def restart_all(self, now):
        running = [node for node in self.nodes.ids if self.nodes.runs(node) and not self.is_concerned(("node", node))]
        if len(running) < len(self.nodes.ids):
            return

        def start():
            for node in running:
                self.nodes.start(node)

        self.begin(now, "restart_all", self.lease / 4, start)
        for node in running:
            self.nodes.kill(node)
