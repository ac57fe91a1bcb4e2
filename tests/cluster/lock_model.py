"""Histories of locks that no process has recorded: written by hand, or by a small model of clients, leases and a
resource that breaks no rule (docs/histories.md)."""

import heapq
import json
import os
import random

MS = 1_000_000
LEASE = 200 * MS
SETTLE = 1.0  # Seconds: five leases.
MODES = ("NL", "CR", "CW", "PR", "PW", "EX")
# Which modes go together, as a table of its own: rows and columns in the order of MODES.
TABLE = ("yyyyyy",
         "yyyyy.",
         "yyy...",
         "yy.y..",
         "yy....",
         "y.....")


def compatible(mode, other):
    return TABLE[MODES.index(mode)][MODES.index(other)] == "y"


class History:
    """Lines by the name of their file, and what was cut off at its end."""

    def __init__(self):
        self.files, self.cut = {}, {}

    def write(self, folder):
        for name, rows in self.files.items():
            text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows) + self.cut.get(name, "")
            with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
                file.write(text)


class Teller:
    """Writes the lines of one process, wherever in time: they are put in order."""

    def __init__(self, history, name, **same):
        self.rows = history.files.setdefault(name, [])
        self.same = same

    def tell(self, at, event, **fields):
        self.rows.append({"at": at, **self.same, "event": event, **fields})
        self.rows.sort(key=lambda row: row["at"])


# ---- The model ----

class Future:
    """What a client waits for."""

    def __init__(self):
        self.waiting = None

    def set(self, value):
        if self.waiting is not None:
            self.waiting(value)


class Request:
    def __init__(self, client, lock, mode):
        self.client, self.lock, self.mode = client, lock, mode
        self.answer = Future()
        self.token, self.until, self.expires = None, None, None  # Of the grant.


class Locks:
    """The lock manager: first come, first served; a lock whose deadline has passed is free."""

    def __init__(self, world):
        self.world = world
        self.token = world.random.randrange(1, 1000)
        self.held, self.waiting = {}, {}

    def ask(self, request):
        self.waiting.setdefault(request.lock, []).append(request)
        self.settle(request.lock)

    def settle(self, lock):
        held, waiting = self.held.setdefault(lock, {}), self.waiting.setdefault(lock, [])
        for token in [token for token, holder in held.items() if holder.expires <= self.world.now]:
            del held[token]
        while waiting and all(compatible(waiting[0].mode, holder.mode) for holder in held.values()):
            request = waiting.pop(0)
            self.token += self.world.random.randrange(1, 4)
            request.token = self.token
            request.until = self.world.now + LEASE
            held[request.token] = request
            self.expire_at(request, request.until)
            self.world.after(self.world.latency(), lambda request=request: request.answer.set("ok"))

    def expire_at(self, request, until):
        request.expires = until + self.world.random.choice((0, 1, MS, 20 * MS))
        self.world.after(request.expires - self.world.now, lambda: self.settle(request.lock))

    def extend(self, request):
        """The new deadline, or 0."""
        if self.world.now >= request.until or request.token not in self.held[request.lock]:
            return 0
        if not request.client.cut_off:
            request.until = self.world.now + LEASE
            self.expire_at(request, request.until)
        return request.until

    def free(self, request):
        """Takes back what is asked for or held. True: it was held."""
        if request in self.waiting.get(request.lock, ()):
            self.waiting[request.lock].remove(request)
            held = None
        else:
            held = self.held.get(request.lock, {}).pop(request.token, None)
        self.settle(request.lock)
        return held is not None


class Resource:
    """What is guarded. It dies now and then, perhaps with a decision that it had no time to write down."""

    def __init__(self, world, name, checks):
        self.world, self.name, self.checks = world, name, checks
        self.order = world.random.randrange(3)
        self.top = {}
        self.begin()

    def begin(self):
        self.file = f"{self.name}-{self.order}"
        self.teller = Teller(self.world.history, self.file, resource=self.name)
        self.teller.tell(self.world.now, "begin", checks=self.checks, order=self.order)
        self.order += self.world.random.randrange(1, 12)
        self.alive = True

    def decide(self, client, op, call, lock, token, answer):
        if not self.alive:
            return
        top, top_write = self.top.get(lock, (0, 0))
        allowed = not self.checks or token >= (top if call == "write" else top_write)
        if allowed:
            self.top[lock] = (max(top, token), max(top_write, token if call == "write" else 0))
        fields = {"call": call, "lock": lock, "token": token, "client": client, "op": op}
        if self.world.random.random() < 0.02:
            text = json.dumps({"at": self.world.now, "resource": self.name, "event": "applied", **fields})
            self.world.history.cut[self.file] = text[:self.world.random.randrange(len(text))]
            self.alive = False
            self.world.after(self.world.random.randrange(50) * MS, self.begin)
            return
        self.teller.tell(self.world.now, "applied" if allowed else "refused", **fields)
        self.world.after(self.world.latency(), lambda: answer.set("ok" if allowed else "refused"))


class Client:
    """One life. It does what `live` says, step by step, unless it is paused or dead."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.teller = Teller(world.history, name, client=name)
        self.op = world.random.randrange(3)
        self.dead, self.paused, self.cut_off, self.ended = False, False, False, False
        self.requests = []
        self.late = None     # What it will do after a pause.
        self.ticket = 0      # Of the step that it waits for.
        self.steps = self.live()
        self.tell("begin")
        self.wake(0, None)

    def tell(self, event, **fields):
        self.teller.tell(self.world.now, event, **fields)

    def invoke(self, call, **fields):
        self.op += 1
        self.tell("invoke", op=self.op, call=call, **fields)
        return self.op

    def wake(self, ticket, value):
        if self.dead or self.ended or ticket != self.ticket:
            return
        if self.paused:
            if self.late is None:
                self.late = (ticket, value)
            return
        self.ticket += 1
        ticket = self.ticket
        try:
            delay, future = self.steps.send(value)
        except StopIteration:
            self.ended = True
            self.tell("end")
            self.world.after(self.world.latency(), self.free_all)
            return
        self.world.after(delay, lambda: self.wake(ticket, None))
        if future is not None:
            future.waiting = lambda value: self.wake(ticket, value)

    def resume(self):
        self.paused = False
        if self.late is not None:
            late, self.late = self.late, None
            self.wake(*late)

    def free_all(self):
        for request in self.requests:
            self.world.locks.free(request)

    # Steps yield how long to wait, and for what, and are answered with it, or with None if it did not come in time.

    def live(self):
        chance = self.world.random
        while not self.world.finishing:
            yield chance.randrange(40) * MS, None
            request = yield from self.acquire()
            if request is not None:
                yield from self.hold(request)
            if chance.random() < 0.02:
                return  # With what it may hold.

    def acquire(self):
        chance, locks = self.world.random, self.world.locks
        request = Request(self, chance.choice(self.world.names), chance.choice(MODES + ("EX", "EX", "EX", "PR", "PR")))
        self.requests.append(request)
        op = self.invoke("acquire", lock=request.lock, mode=request.mode)
        self.world.after(self.world.latency(), lambda: self.dead or locks.ask(request))
        answer = yield chance.randrange(5, 400) * MS, request.answer
        if answer is None:
            self.tell("return", op=op, result="timeout")
            self.world.after(3 * MS, lambda: locks.free(request))
            return None
        if self.world.now >= request.until:
            self.tell("return", op=op, result="lost")
            return None
        self.tell("return", op=op, result="ok", token=request.token, until=request.until)
        return request

    def hold(self, request):
        chance, locks = self.world.random, self.world.locks
        told = {"lock": request.lock, "token": request.token}
        for _ in range(chance.randrange(8)):
            yield chance.randrange(20) * MS, None
            if chance.random() < 0.5:
                locks.extend(request)  # Without being asked.
                yield chance.randrange(40) * MS, None
            careless = chance.random() < 0.3
            if not careless:
                until = locks.extend(request)
                if until == 0:
                    self.tell("valid", **told, until=0) if chance.random() < 0.5 else self.tell("lost", **told)
                    break
                self.tell("valid", **told, until=until)
            if chance.random() < 0.6:
                yield from self.use(request)
        if chance.random() < 0.1:
            return  # It forgets to give it back, and the lock expires.
        op = self.invoke("release", **told)
        freed, answer = [], Future()
        if not self.cut_off:
            self.world.after(self.world.latency(), lambda: freed.append(locks.free(request)) or
                             self.world.after(self.world.latency(), lambda: answer.set("come")))
        answer = yield 30 * MS, answer
        self.tell("return", op=op, result="timeout" if answer is None else "ok" if freed[0] else "error")

    def use(self, request):
        resource = self.world.random.choice(self.world.resources)
        call = "write" if request.mode in ("EX", "PW", "CW") and self.world.random.random() < 0.7 else "read"
        op = self.invoke(call, resource=resource.name, lock=request.lock, token=request.token)
        answer = Future()
        arguments = (self.name, op, call, request.lock, request.token, answer)
        self.world.after(self.world.latency(), lambda: resource.decide(*arguments))
        result = yield 15 * MS, answer
        self.tell("return", op=op, result=result or "error")


class World:
    """Draws one history. What is in it depends on the seed alone."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.history = History()
        self.now = self.random.randrange(10**15)
        self.harmless = self.now + 2000 * MS  # From then on.
        self.queue, self.count = [], 0
        self.finishing = False
        self.names = ["a", "b", "c"][:self.random.randrange(1, 4)]
        self.locks = Locks(self)
        self.resources = [Resource(self, "checking", True), Resource(self, "blind", False)]
        self.clients = []
        self.faults, self.fault_count = Teller(self.history, "faults"), 0
        for _ in range(self.random.randrange(2, 6)):
            self.born()
        self.after(self.random.randrange(300) * MS, self.harm)
        self.after(5000 * MS, self.finish)
        while self.queue:
            self.now, _, what = heapq.heappop(self.queue)
            what()
        assert all(client.ended or client.dead for client in self.clients)

    def after(self, delay, what):
        self.count += 1
        heapq.heappush(self.queue, (self.now + delay, self.count, what))

    def latency(self):
        return self.random.choice((0, 1, self.random.randrange(MS), self.random.randrange(3 * MS)))

    def born(self):
        self.clients.append(Client(self, f"client-{len(self.clients)}"))

    def finish(self):
        self.finishing = True
        self.faults.tell(self.now, "finish")

    def harm(self):
        """One fault after another, some at the same time, until it is nearly over."""
        if self.now >= self.harmless:
            return
        self.after(self.random.randrange(400) * MS, self.harm)
        alive = [client for client in self.clients if not client.dead and not client.ended and not client.paused]
        if not alive:
            self.born()
            return
        client, self.fault_count = self.random.choice(alive), self.fault_count + 1
        kind, name = self.random.choice(("kill_client", "pause_client", "pause_client", "partition")), self.fault_count
        if kind == "kill_client":
            self.kill(client, name)
            return
        self.faults.tell(self.now, "fault", kind=kind, id=name, client=client.name)
        if kind == "pause_client":
            client.paused = True
        else:
            client.cut_off = True

        def heal():
            self.faults.tell(self.now, "heal", id=name)
            if kind == "pause_client":
                client.resume()
            else:
                client.cut_off = False

        self.after(self.random.randrange(1, 500) * MS, heal)

    def kill(self, client, name):
        client.dead = True
        if self.random.random() < 0.5:
            line = json.dumps({"at": self.now, "client": client.name, "event": "valid", "lock": "ä", "token": 1})
            self.history.cut[client.name] = line[:self.random.randrange(len(line))]
        if self.random.random() < 0.5:
            # Dead since somewhen between the signal and the news of it; the lock manager may have heard it earlier.
            dead = self.now + 5 * MS
            begin = {"from": self.now - self.random.randrange(2 * MS)}
        else:
            dead, begin = self.now, {}
        self.faults.tell(dead, "fault", kind="kill_client", id=name, client=client.name, **begin)
        self.after(self.latency(), client.free_all)
        if self.random.random() < 0.7:
            self.after(self.random.randrange(100) * MS, self.born)
