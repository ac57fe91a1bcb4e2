"""What a history of locks tells, put together for the judge (lock_judge.py): clients, their grants and what they
believed by them, their uses of resources, and the faults."""

import bisect
import collections
import math

from lock_history import MODES

COMPATIBLE = {
    "NL": ("NL", "CR", "CW", "PR", "PW", "EX"),
    "CR": ("NL", "CR", "CW", "PR", "PW"),
    "CW": ("NL", "CR", "CW"),
    "PR": ("NL", "CR", "PR"),
    "PW": ("NL", "CR"),
    "EX": ("NL",),
}
CONFLICTS = tuple(tuple(other for other, name in enumerate(MODES) if name not in COMPATIBLE[mode]) for mode in MODES)

Belief = collections.namedtuple("Belief", "start end cause client token mode")  # cause: of its end.


class Client:
    """One life of one process."""
    __slots__ = ("name", "file", "grants", "gone", "dead")

    def __init__(self, name, file, gone, dead):
        self.name, self.file = name, file
        self.grants = {}  # By token and lock.
        self.gone, self.dead = gone, dead  # It was killed: not before the one, not after the other instant.


class Grant:
    """An acquire that was answered ok, and what its client believed by it."""
    __slots__ = ("client", "lock", "mode", "token", "asked", "asked_line", "told", "told_line", "until", "begins",
                 "over", "cause", "pieces", "release_asked", "release_ok", "lost")

    def __init__(self, client, lock, mode, token, asked, asked_line, told, told_line, until):
        self.client, self.lock, self.mode, self.token = client, lock, mode, token
        self.asked, self.asked_line, self.told, self.told_line = asked, asked_line, told, told_line
        self.until = until                     # The greatest deadline told.
        self.begins = told
        self.over, self.cause = math.inf, ""   # What ended the belief before its deadline.
        self.pieces = ()                       # (start, end, cause). More than one: it was extended too late.
        self.release_asked, self.release_ok = None, False
        self.lost = False

    def stop(self, at, cause):
        if at < self.over:
            self.over, self.cause = at, cause

    def close(self):
        """What was believed up to now is a piece."""
        end, cause = min((self.until, "deadline"), (self.over, self.cause))
        if end > self.begins:
            self.pieces += ((self.begins, end, cause),)

    def believe_again(self, at, until):
        self.close()
        self.begins, self.until, self.over = at, until, math.inf

    def believed_at(self, at):
        return any(start <= at < end for start, end, _ in self.pieces)

    @property
    def end(self):
        return self.pieces[-1][1] if self.pieces else self.told

    def overlaps(self, other):
        return any(mine[0] < theirs[1] and theirs[0] < mine[1] for mine in self.pieces for theirs in other.pieces)

    @property
    def who(self):
        return self.client.name, self.token

    def where(self):
        return f"{self.client.file.name}:{self.told_line}"

    def __str__(self):
        return f"token {self.token} ({self.client.name}, {MODES[self.mode]})"


class Use:
    """A read or a write of a resource, as its client tells of it."""
    __slots__ = ("client", "op", "call", "resource", "lock", "token", "grant", "asked", "line", "answered", "result",
                 "decided")

    def __init__(self, client, row, grant, line):
        self.client, self.op, self.call, self.resource = client, row["op"], row["call"], row["resource"]
        self.lock, self.token, self.grant = row["lock"], row["token"], grant
        self.asked, self.line = row["at"], line
        self.answered, self.result = None, None
        self.decided = False

    def where(self):
        return f"{self.client.file.name}:{self.line}"

    def __str__(self):
        return f"{self.call} {self.op} of {self.client.name} under token {self.token}"


class Faults:
    """What was done to the processes, and when it was quiet."""

    def __init__(self, file, settle):
        self.kinds = collections.Counter()
        self.all = []  # (kind, from, until, client).
        self.killed, self.paused = {}, collections.defaultdict(list)
        self.finish = None
        self.last, self.lines = 0, 0
        if file is not None:
            self._read(file)
        # Intervals in which a loss can have a fault for its cause, joined where they touch.
        self.loud_from, self.loud_until = [], []
        for _, begin, end, _ in sorted(self.all, key=lambda fault: fault[1]):
            end += settle
            if self.loud_until and begin <= self.loud_until[-1]:
                self.loud_until[-1] = max(self.loud_until[-1], end)
            else:
                self.loud_from.append(begin)
                self.loud_until.append(end)

    def _read(self, file):
        open_faults, ids = {}, set()
        for self.lines, row in file.lines():
            number, at, event = self.lines, row["at"], row["event"]
            self.last = at
            if event == "finish":
                if self.finish is not None:
                    raise file.wrong(number, "there is a second finish")
                self.finish = at
            elif event == "heal":
                fault = open_faults.pop(row["id"], None)
                if fault is None:
                    raise file.wrong(number, f"no fault {row['id']!r} is under way")
                self._note(fault, at)
            else:
                if row["id"] in ids:
                    raise file.wrong(number, f"there was a fault {row['id']!r} before")
                ids.add(row["id"])
                begin = row.get("from", at)
                if type(begin) is not int or not 0 <= begin <= at:
                    raise file.wrong(number, f"`from` can not be {begin!r}")
                kind, client = row["kind"], row.get("client")
                self.kinds[kind] += 1
                if kind in ("kill_client", "pause_client") and type(client) is not str:
                    raise file.wrong(number, "there is no `client`")
                if kind == "kill_client":
                    if client in self.killed:
                        raise file.wrong(number, f"{client} was killed before")
                    self.killed[client] = (begin, at)
                open_faults[row["id"]] = (kind, begin, at, client)
        for fault in open_faults.values():
            # A client that was killed does not come back, and its death is over at once.
            self._note(fault, fault[2] if fault[0] == "kill_client" else math.inf)

    def _note(self, fault, end):
        kind, begin, _, client = fault
        self.all.append((kind, begin, end, client))
        if kind == "pause_client":
            self.paused[client].append((begin, end))

    def stood_still(self, client, begin, end, least):
        """A pause of the client between these instants that took so long at least, or None."""
        return next((pause for pause in self.paused.get(client, ())
                     if begin <= pause[0] and min(pause[1], end) - pause[0] >= least), None)

    def quiet(self, at):
        index = bisect.bisect_right(self.loud_from, at) - 1
        return index < 0 or self.loud_until[index] <= at

    def was_paused(self, client, begin, end):
        return any(fault[0] <= end and begin <= fault[1] for fault in self.paused.get(client, ()))

    def quiet_time(self, first, last):
        loud = sum(max(0, min(end, last) - max(begin, first)) for begin, end in zip(self.loud_from, self.loud_until))
        return last - first - loud

    def all_healed(self):
        """The instant since when all is quiet."""
        return self.loud_until[-1] if self.loud_until else 0
