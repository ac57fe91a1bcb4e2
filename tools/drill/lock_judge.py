#!/usr/bin/env python3
"""Judges histories of locks that real processes have recorded.

  lock_judge.py FOLDER [--settle SECONDS] [--json FILE]

What is recorded, what has to hold, and the names of the properties are in docs/histories.md. Prints a line for each
violation and at last `RESULT ...`. Exit code 0: nothing was found; 1: violations, or losses without a fault; 2: wrong
usage, or a history that can not be read. --settle: how long after a fault locks may still be lost by it.

It is written from the specification and knows nothing of how locks are granted. What LIN is taken to say: there are
instants p and e of each grant, at which it began and ended in the lock manager, such that

  asked <= p <= told;  e >= p and e >= the end of the client's belief;
  of two grants of one lock, p of the smaller token <= p of the greater one, and if their modes are incompatible,
  e of the smaller token <= p of the greater one.

All bounds but `told` are lower ones, so the earliest p of each, taken in the order of tokens, decides in one pass.
Where beliefs overlap, ME says so, and where only askings and tellings contradict tokens, TM does; LIN has the rest:
beliefs one after another in the wrong order, and grants told while one before them in the order had still to end.

Where a violation can hide from it:

- Behind a client that asks late. It may be told of an extension that came in time, without its asking; so a deadline
  that is passed and then moved on is a violation only if the client was paused for longer than a lease, after a loss,
  or when somebody else had the lock in between (LIN, ME). The others are late_extensions.
- Behind delays of the recorder. A grant is known from when its return was written, the end of a belief from before its
  release was asked for: a lock that is granted too early by less than the answer takes is not seen.
- Behind what is not known. An acquire without an `ok` may have been granted: its token, and how long the lock was
  kept from others, do not appear. Nor does what a client relied on between two lines.
- In time-outs. A release that frees nothing shows as acquires that time out, which are answers like others: counted
  as stuck_locks when all was healed, not held against anybody. Nor are `busy`, `not_quorate`, `gone`, `cancelled` and
  `error` asked for their reasons.
- Order of waiting: who asked first is not known, since nothing tells when a request began to wait.
- Behind the calls. A resource compares what is written and read, not modes: a read under an old EX after reads under a
  newer one passes, and does no harm. Decisions of a resource that died before it wrote them down are not known; what
  it refuses later because of them is not judged (refusals_not_judged).
- Behind faults. While one is under way, and for --settle after it, losses are not judged; quiet_ms says how much time
  was left. A fault without a heal lasts to the end.
- Behind a kill: a belief ends with the earliest instant at which its client can have been dead.
- In a file that is missing with all that depends on it. `clients` and `resource_lives` say how many were read.

Where it can accuse without cause: ME, if a kill is noted late and without `from`; BELIEF, if a client that is not
paused gets no processor for longer than what was left of its lease when the grant came back; NFE, if --settle is too
short.
"""

import argparse
import bisect
import collections
import dataclasses
import json
import math
import sys

import lock_history
from lock_history import MODES, Malformed
from lock_records import CONFLICTS, Belief, Client, Faults, Grant, Use

SHOWN_MAX = 50  # Violations of one property that are kept and printed; further ones are counted.
SETTLE_SECONDS = 10.0
LEASE_MARGIN = 1.25  # No lease is longer than the longest time that anybody was told to rely on a lock, times this.

PROPERTIES = ("ME", "BELIEF", "TM", "ME-T", "USE", "LIN", "NPG", "NLR", "NLW", "END", "NFE")
COUNTERS = ("operations", "granted", "taken_over", "released", "refused", "lost", "belief_overlaps", "stale_accepted",
            "token_regressions", "unserved", "lost_without_fault", "late_writes", "violations", "wrongly_refused",
            "refusals_not_judged", "applied", "extended", "late_extensions", "timeouts", "longest_wait_ms",
            "late_releases", "stuck_locks", "vanished", "clients", "killed", "paused", "resource_lives", "locks",
            "faults", "lines", "quiet_ms", "length_ms")


@dataclasses.dataclass(slots=True)
class Violation:
    property: str
    lock: str          # None if it is not of one lock.
    tokens: tuple
    clients: tuple
    text: str
    evidence: tuple    # file:line.

    def __str__(self):
        lock = f" lock {self.lock}:" if self.lock else ""
        return f"{self.property}:{lock} {self.text} [{', '.join(self.evidence)}]"


class Guarded:
    """What a resource has applied under one lock: the greatest tokens, each with where it was said."""
    __slots__ = ("any", "write", "by_mode")

    def __init__(self):
        self.any, self.write = (0, ""), (0, "")
        self.by_mode = [0] * len(MODES)


@dataclasses.dataclass
class Verdict:
    counters: dict
    violations: list   # The first SHOWN_MAX of each property.
    found: dict        # How many there are of each property.
    grants: dict       # By lock, in the order of tokens.
    faults: list       # (kind, from, until, client); until is infinite if nothing healed it.
    start: int         # The first line's instant. All instants are those of the history, in nanoseconds.

    @property
    def ok(self):
        return self.counters["violations"] == 0 and self.counters["lost_without_fault"] == 0

    def beliefs(self, lock):
        """Who believed to have it, and when, by the beginning of each belief."""
        return sorted((Belief(start, end, cause, grant.client.name, grant.token, MODES[grant.mode])
                       for grant in self.grants.get(lock, ()) for start, end, cause in grant.pieces),
                      key=lambda belief: belief.start)

    def result(self):
        return "RESULT " + " ".join(f"{name}={value}" for name, value in self.counters.items())

    def as_json(self):
        return {
            "counters": self.counters,
            "found": self.found,
            "violations": [dataclasses.asdict(violation) for violation in self.violations],
            "start": self.start,
            "faults": [{"kind": kind, "from": begin, "until": None if end == math.inf else end, "client": client}
                       for kind, begin, end, client in self.faults],
            "beliefs": {lock: [belief._asdict() for belief in self.beliefs(lock)] for lock in self.grants},
        }


class Judge:
    """One history. Files are read one after another, then what they tell is put together."""

    def __init__(self, files, settle):
        self.files = files
        self.settle = round(settle * 1e9)
        self.start = min(file.first["at"] for file in files)
        self.last = self.start
        self.counts = collections.Counter()
        self.found_of = collections.Counter()
        self.violations = []
        self.clients = {}
        self.grants = []
        self.uses = {}      # By client and operation.
        self.timeouts = []  # (lock, when it was asked for).
        self.longest_wait = 0
        self.longest = 0    # The longest time that anybody was told to rely on a lock.
        self.late = []      # Extensions after the deadline that was told before.

    # ---- Saying ----

    def ms(self, at):
        return f"{(at - self.start) / 1e6:.3f} ms"

    def found(self, name, lock, who, text, *evidence):
        """`who` is pairs of a client and a token; no lock, or no token, is None."""
        self.found_of[name] += 1
        if self.found_of[name] <= SHOWN_MAX:
            clients = tuple(client for client, _ in who)
            tokens = tuple(token for _, token in who if token is not None)
            self.violations.append(Violation(name, lock, tokens, clients, text, evidence))

    def judge(self):
        told = [file for file in self.files if file.kind == "faults"]
        if len(told) > 1:
            raise Malformed(f"{told[1].path}: {told[0].name} has faults already")
        self.faults = Faults(told[0] if told else None, self.settle)
        self.last = max(self.last, self.faults.last)
        self.counts["lines"] += self.faults.lines
        for file in self.files:
            if file.kind == "client":
                self.client(file)
        self.late_extensions()
        self.resources()
        self.unanswered_uses()
        self.tokens()
        by_lock = collections.defaultdict(list)
        for grant in sorted(self.grants, key=lambda grant: (grant.token, grant.told)):
            by_lock[grant.lock].append(grant)
        for lock, grants in by_lock.items():
            self.exclusion(lock, grants)
            self.order(lock, grants)
            self.takeovers(grants)
        self.stuck(by_lock)
        return Verdict(self.counters(by_lock), self.violations, dict(self.found_of), dict(by_lock), self.faults.all,
                       self.start)

    # ---- Clients: NPG, BELIEF, NLR, NLW, END, NFE, and what USE says of them ----

    def client(self, file):
        if file.writer in self.clients:
            raise file.wrong(1, f"there is a client {file.writer} in {self.clients[file.writer].file.name} already")
        name = file.writer
        client = Client(name, file, *self.faults.killed.get(name, (math.inf, math.inf)))
        self.clients[name] = client
        under_way, asked = {}, set()  # Operations.
        mine = []
        ended = False
        number = 0
        for number, row in file.lines():
            at, event = row["at"], row["event"]
            if at > client.dead:
                self.found("NPG", None, [(name, None)], f"{name} says something at {self.ms(at)}, and was dead at "
                           f"{self.ms(client.dead)}", f"{file.name}:{number}")
            elif event == "invoke":
                self.invoke(client, number, row, under_way, asked)
            elif event == "return":
                grant = self.answer(client, number, row, under_way, asked)
                if grant is not None:
                    mine.append(grant)
            elif event == "end":
                ended = True
                for grant in mine:
                    grant.stop(at, "end")
            elif event != "begin":
                self.told(client, number, row)
        self.last = max(self.last, at)
        self.counts["lines"] += number
        for grant in mine:
            grant.stop(client.gone, "death")
            grant.close()
        self.grants += mine
        self.ending(client, number, ended, under_way)

    def invoke(self, client, number, row, under_way, asked):
        op, call = row["op"], row["call"]
        if op in asked:
            raise client.file.wrong(number, f"there was an operation {op} before")
        asked.add(op)
        self.counts["operations"] += 1
        grant = None
        if call != "acquire":
            grant = client.grants.get((row["token"], row["lock"]))
            if grant is None:
                self.found("USE", row["lock"], [(client.name, row["token"])], f"{client.name} asks at "
                           f"{self.ms(row['at'])} for {call} {op} under token {row['token']}, which it was not granted "
                           "before", f"{client.file.name}:{number}")
        if call == "release" and grant is not None:
            grant.stop(row["at"], "release")
            if grant.release_asked is None:
                grant.release_asked = row["at"]
        if call in ("write", "read"):
            self.uses[client.name, op] = under_way[op] = Use(client, row, grant, number)
        elif call == "acquire":
            under_way[op] = (call, row["at"], number, row["lock"], row["mode"])
        else:
            under_way[op] = (call, row["at"], number, row["lock"], grant)

    def answer(self, client, number, row, under_way, asked):
        """The grant, if it is one."""
        op, at, result = row["op"], row["at"], row["result"]
        question = under_way.pop(op, None)
        if question is None:
            text = "a second time" if op in asked else "before it was asked for"
            self.found("NPG", None, [(client.name, None)], f"operation {op} of {client.name} returns {text}, at "
                       f"{self.ms(at)}", f"{client.file.name}:{number}")
            return None
        if isinstance(question, Use):
            question.answered, question.result = at, result
            return None
        call, since, line, lock, what = question
        if call == "acquire":
            self.longest_wait = max(self.longest_wait, at - since)
        if call == "release":
            if result == "ok":
                self.counts["released"] += 1
                if what is not None:
                    what.release_ok = True
            return None
        if result not in lock_history.RESULTS:
            raise client.file.wrong(number, f"`result` can not be {result!r}")
        if result == "timeout":
            self.timeouts.append((lock, since))
        if result == "lost":
            self.loss(client, number, at, lock, None, f"is answered that its acquire {op} is lost")
        if result != "ok":
            return None
        token, until = row.get("token"), row.get("until")
        if type(token) is not int or token <= 0 or type(until) is not int or until < 0:
            raise client.file.wrong(number, "what is granted has a `token` above 0 and an `until`")
        grant = Grant(client, lock, MODES.index(what), token, since, line, at, number, until)
        self.longest = max(self.longest, until - at)
        if until <= at and not self.faults.was_paused(client.name, since, at):
            self.found("BELIEF", lock, [grant.who], f"{grant} is told at {self.ms(at)}, and over at {self.ms(until)}",
                       grant.where())
        client.grants[token, lock] = grant
        return grant

    def told(self, client, number, row):
        at, lock, token = row["at"], row["lock"], row["token"]
        where = f"{client.file.name}:{number}"
        grant = client.grants.get((token, lock))
        if grant is None:
            self.found("NPG", lock, [(client.name, token)], f"{client.name} tells at {self.ms(at)} of token {token}, "
                       "which it was not granted before", where)
        elif row["event"] == "lost":
            grant.stop(at, "lost")
            if not grant.lost:
                grant.lost = True
                self.loss(client, number, at, lock, token, f"is told that {grant} is lost")
        elif row["until"] == 0:
            if grant.release_asked is None and not grant.lost:
                grant.lost = True
                self.loss(client, number, at, lock, token, f"asks, and {grant} is not held any more")
            grant.stop(at, "lost")
        elif row["until"] > at:
            self.extension(grant, at, row["until"], where)

    def extension(self, grant, at, until, where):
        self.longest = max(self.longest, until - at)
        if grant.over == math.inf and at <= grant.until:
            self.counts["extended"] += 1
            grant.until = max(grant.until, until)
            return
        # Its own client does not rely on it from the deadline that it was told to this new one.
        again = f"at {self.ms(at)} it is valid until {self.ms(until)}"
        if grant.release_ok:
            self.found("NLR", grant.lock, [grant.who], f"{grant} was released, and {again}", grant.where(), where)
        elif grant.lost:
            self.found("BELIEF", grant.lock, [grant.who], f"{grant} was lost, and {again}", grant.where(), where)
        elif at > grant.until:
            self.late.append((grant, grant.until, at, again, where))
        else:
            return  # While it is being released, nobody relies on what is said of it.
        grant.believe_again(at, until)

    def late_extensions(self):
        """Who asks too late may be told of an extension that had come in time. Not if he stood still for longer than
        any can last."""
        least = self.longest * LEASE_MARGIN
        for grant, over, at, again, where in self.late:
            pause = self.faults.stood_still(grant.client.name, grant.told, at, least)
            if pause is not None:
                self.found("BELIEF", grant.lock, [grant.who], f"{grant} was told to be over at {self.ms(over)}, its "
                           f"client stood still from {self.ms(pause[0])} on, longer than a lease, and {again}",
                           grant.where(), where)

    def loss(self, client, number, at, lock, token, text):
        self.counts["lost"] += 1
        if self.faults.quiet(at):
            self.found("NFE", lock, [(client.name, token)], f"{client.name} {text} at {self.ms(at)}, without a fault",
                       f"{client.file.name}:{number}")

    def ending(self, client, number, ended, under_way):
        finish = self.faults.finish
        # Who is killed after the finish, because it did not end, was to be served before.
        excused = client.dead < math.inf and (finish is None or client.dead <= finish)
        self.counts["killed"] += client.dead < math.inf
        self.counts["vanished"] += not ended and client.dead == math.inf
        if finish is None or excused:
            return
        if not ended:
            self.found("END", None, [(client.name, None)], f"{client.name} was not killed before the finish, and its "
                       "history has no end", f"{client.file.name}:{number}")
        for question in under_way.values():
            if not isinstance(question, Use):
                call, since, line, lock, _ = question
                self.found("NLW", lock, [(client.name, None)], f"{call} of {client.name}, asked for at "
                           f"{self.ms(since)}, has no return", f"{client.file.name}:{line}")

    # ---- Resources: ME-T, USE, late writes ----

    def resources(self):
        lives = collections.defaultdict(dict)
        for file in self.files:
            if file.kind == "resource":
                other = lives[file.writer].setdefault(file.first["order"], file)
                if other is not file:
                    raise file.wrong(1, f"{other.name} has a life of the same order")
        for resource in lives.values():
            guarded = collections.defaultdict(Guarded)
            suspicious = []
            last = -1
            for order in sorted(resource):
                file = resource[order]
                if file.first["at"] < last:
                    raise file.wrong(1, "begins before the life of a lower order has ended")
                last = self.life(file, guarded, suspicious if last >= 0 else None)
            self.refusals(suspicious)

    def life(self, file, guarded, suspicious):
        """The instant of its last line. `suspicious`, if it is a list, gets what is refused for a reason that may be
        hidden."""
        checks = file.first["checks"]
        began = file.first["at"]
        self.counts["resource_lives"] += 1
        at = began
        number = 0
        for number, row in file.lines():
            at, event = row["at"], row["event"]
            if event == "begin":
                continue
            where = f"{file.name}:{number}"
            call, lock, token = row["call"], row["lock"], row["token"]
            use = self.decision(file.writer, row, where)
            had = guarded[lock]
            above = had.any if call == "write" else had.write
            allowed = not checks or token >= above[0]
            self.counts[event] += 1
            if event == "refused":
                if allowed and checks and suspicious is not None:
                    suspicious.append((file.writer, row, began, where))
                elif allowed:
                    self.wrongly_refused(file.writer, row, where)
                continue
            if not allowed:
                self.counts["stale_accepted"] += 1
                self.found("ME-T", lock, [(row["client"], token)], f"{self.decided(file.writer, row)}, after token "
                           f"{above[0]}", above[1], where)
            if token > had.any[0]:
                had.any = (token, where)
            if call == "write" and token > had.write[0]:
                had.write = (token, where)
            grant = use.grant if use is not None else None
            if grant is not None:
                later = any(had.by_mode[mode] > token for mode in CONFLICTS[grant.mode])
                self.counts["late_writes"] += not checks and (later or not grant.believed_at(at))
                had.by_mode[grant.mode] = max(had.by_mode[grant.mode], token)
        self.counts["lines"] += number
        self.last = max(self.last, at)
        return at

    def decision(self, resource, row, where):
        """The operation that was decided. USE: it was asked for, once, like this, and was answered so."""
        use = self.uses.get((row["client"], row["op"]))
        at, event = row["at"], row["event"]
        trouble = None
        if use is None:
            trouble = "was never asked for"
        elif use.decided:
            trouble = f"was decided before ({use.where()})"
        elif (use.resource, use.call, use.lock, use.token) != (resource, row["call"], row["lock"], row["token"]):
            trouble = f"was asked for as {use.call} of {use.resource} under token {use.token} of lock {use.lock}"
        elif at < use.asked:
            trouble = f"was asked for at {self.ms(use.asked)} only"
        elif use.result in ("ok", "refused"):
            if (use.result == "ok") != (event == "applied"):
                trouble = f"was answered {use.result}"
            elif at > use.answered:
                trouble = f"was answered before, at {self.ms(use.answered)}"
        if trouble is not None:
            told = () if use is None else (use.where(),)
            self.found("USE", row["lock"], [(row["client"], row["token"])], f"{self.decided(resource, row)}, which "
                       f"{trouble}", *told, where)
        if use is not None:
            use.decided = True
        return use

    def decided(self, resource, row):
        return (f"{resource} has {row['event']} at {self.ms(row['at'])} {row['call']} {row['op']} of {row['client']} "
                f"under token {row['token']}")

    def wrongly_refused(self, resource, row, where):
        self.counts["wrongly_refused"] += 1
        self.found("ME-T", row["lock"], [(row["client"], row["token"])], f"{self.decided(resource, row)}, and no token "
                   "before forbids it", where)

    def refusals(self, suspicious):
        """A resource may have died between applying something and writing it down. Is there such a thing?"""
        if not suspicious:
            return
        hidden = collections.defaultdict(list)
        for use in self.uses.values():
            if not use.decided and use.result not in ("ok", "refused"):
                hidden[use.resource, use.lock].append((use.asked, use.token, use.call == "write"))
        greatest = {}  # By resource and lock: when asked, the greatest token up to then, the greatest of writes.
        for key, uses in hidden.items():
            uses.sort()
            of_any, of_writes = 0, 0
            rows = greatest[key] = ([], [], [])
            for asked, token, write in uses:
                of_any, of_writes = max(of_any, token), max(of_writes, token if write else 0)
                for row, value in zip(rows, (asked, of_any, of_writes)):
                    row.append(value)
        for resource, row, began, where in suspicious:
            asked, of_any, of_writes = greatest.get((resource, row["lock"]), ((), (), ()))
            index = bisect.bisect_left(asked, began) - 1
            if index >= 0 and (of_any if row["call"] == "write" else of_writes)[index] > row["token"]:
                self.counts["refusals_not_judged"] += 1
            else:
                self.wrongly_refused(resource, row, where)

    def unanswered_uses(self):
        for use in self.uses.values():
            if use.result in ("ok", "refused") and not use.decided:
                self.found("USE", use.lock, [(use.client.name, use.token)], f"{use} was answered {use.result} at "
                           f"{self.ms(use.answered)}, and {use.resource} says nothing of it", use.where())

    # ---- Tokens: TM ----

    def tokens(self):
        first = {}
        for grant in sorted(self.grants, key=lambda grant: grant.told):
            other = first.setdefault(grant.token, grant)
            if other is not grant:
                self.found("TM", grant.lock, [other.who, grant.who], f"{other} of lock {other.lock}, told at "
                           f"{self.ms(other.told)}, and {grant}, told at {self.ms(grant.told)}, are one", other.where(),
                           grant.where())
        by_told = sorted(self.grants, key=lambda grant: grant.told)
        index, highest = 0, None
        for grant in sorted(self.grants, key=lambda grant: grant.asked):
            while by_told[index].told < grant.asked:
                if highest is None or by_told[index].token > highest.token:
                    highest = by_told[index]
                index += 1
            if highest is not None and highest.token > grant.token:
                self.found("TM", grant.lock, [highest.who, grant.who], f"{highest} of lock {highest.lock} was told at "
                           f"{self.ms(highest.told)}, before {grant} was asked for at {self.ms(grant.asked)}",
                           highest.where(), grant.where())

    # ---- Each lock: ME, LIN ----

    def exclusion(self, lock, grants):
        # A belief that ends when another one begins has ended: ends come first.
        points = sorted((at, kind, index, piece) for index, grant in enumerate(grants)
                        for piece, (start, end, _) in enumerate(grant.pieces) for at, kind in ((start, 1), (end, 0)))
        held = [{} for _ in MODES]
        for at, kind, index, piece in points:
            grant = grants[index]
            if kind == 0:
                del held[grant.mode][index]
                continue
            for mode in CONFLICTS[grant.mode]:
                if held[mode]:
                    self.overlap(lock, grants, grant, grant.pieces[piece], held[mode])
            held[grant.mode][index] = piece

    def overlap(self, lock, grants, grant, piece, others):
        """All pairs are counted; only those that are shown are looked at."""
        shown = 0
        for index, number in others.items():
            if self.found_of["ME"] >= SHOWN_MAX:
                break
            other = grants[index]
            theirs = other.pieces[number]
            both = min(piece[1], theirs[1]) - piece[0]
            self.found("ME", lock, [other.who, grant.who], f"{other} from {self.ms(theirs[0])} to {self.ms(theirs[1])} "
                       f"({theirs[2]}), and {grant} from {self.ms(piece[0])} to {self.ms(piece[1])} ({piece[2]}): both "
                       f"believe for {both / 1e6:.6f} ms", other.where(), grant.where())
            shown += 1
        self.found_of["ME"] += len(others) - shown

    def order(self, lock, grants):
        """The earliest p of each grant in the order of tokens, and by what it is the earliest one."""
        earliest, reason = -1, None           # Of the grant before. The reason: whose end, and who had to wait for it.
        ends = [(-1, None)] * len(MODES)      # By mode, the latest end of a belief, and whose.
        for grant in grants:
            low, cause, ended = grant.asked, None, None
            if earliest > low:
                low, cause = earliest, reason
            for mode in CONFLICTS[grant.mode]:
                if ends[mode][0] > low:
                    low, ended = ends[mode]
                    cause = (ended, grant)
            if low > grant.told:
                others_say = ended is not None and (ended.overlaps(grant) or ended.asked > grant.told)  # ME, TM.
                if cause is not None and not others_say:
                    before, waited = cause
                    behind = "" if waited is grant else f", for which {waited} waited, of a smaller token too,"
                    self.found("LIN", lock, [before.who, grant.who], f"{grant} is told at {self.ms(grant.told)}; the "
                               f"belief of {before}{behind} ends at {self.ms(low)} only", before.where(), grant.where())
                low, cause = grant.told, None
            earliest, reason = low, cause
            if grant.pieces and max(low, grant.end) > ends[grant.mode][0]:
                ends[grant.mode] = (max(low, grant.end), grant)

    # ---- What is counted ----

    def takeovers(self, grants):
        before = [None] * len(MODES)  # By mode, the grant of the greatest token so far.
        for grant in grants:
            others = [before[mode] for mode in CONFLICTS[grant.mode] if before[mode] is not None]
            if others:
                other = max(others, key=lambda other: other.token)
                if other.release_asked is None or other.release_asked > grant.told:
                    self.counts["taken_over"] += 1
            before[grant.mode] = grant
        told = [math.inf] * len(MODES)  # By mode, when a grant of a greater token was told first.
        for grant in reversed(grants):
            if grant.release_ok and any(told[mode] < grant.release_asked for mode in CONFLICTS[grant.mode]):
                self.counts["late_releases"] += 1
            told[grant.mode] = min(told[grant.mode], grant.told)

    def stuck(self, by_lock):
        """Locks that nobody had or got since all was healed, and that were asked for in vain."""
        since = self.faults.all_healed()
        for lock in sorted({lock for lock, asked in self.timeouts if asked >= since}):
            self.counts["stuck_locks"] += all(grant.end <= since for grant in by_lock.get(lock, ()))

    def counters(self, by_lock):
        counts, found_of = self.counts, self.found_of
        counts["granted"] = len(self.grants)
        counts["belief_overlaps"] = found_of["ME"]
        counts["token_regressions"] = found_of["TM"]
        counts["unserved"] = found_of["NLW"]
        counts["lost_without_fault"] = found_of["NFE"]
        counts["violations"] = sum(found_of.values()) - found_of["NFE"]
        counts["timeouts"] = len(self.timeouts)
        counts["late_extensions"] = len(self.late)
        counts["clients"] = len(self.clients)
        counts["paused"] = self.faults.kinds["pause_client"]
        counts["locks"] = len(by_lock)
        counts["faults"] = self.faults.kinds.total()
        counts["longest_wait_ms"] = self.longest_wait // 1_000_000
        counts["length_ms"] = (self.last - self.start) // 1_000_000
        counts["quiet_ms"] = self.faults.quiet_time(self.start, self.last) // 1_000_000
        all_counts = {name: counts[name] for name in COUNTERS}
        all_counts.update((f"fault_{kind}", count) for kind, count in sorted(self.faults.kinds.items()))
        return all_counts


def judge(folder, settle=SETTLE_SECONDS):
    """The verdict on the history in this folder. Malformed if it is none."""
    return Judge(lock_history.files(folder), settle).judge()


def main(arguments):
    parser = argparse.ArgumentParser(prog="lock_judge.py", description="Judges a history of locks.")
    parser.add_argument("folder")
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, metavar="SECONDS",
                        help="after a fault locks may still be lost by it (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="the verdict, with the beliefs of each lock")
    options = parser.parse_args(arguments)
    if not 0 <= options.settle < math.inf:
        parser.error("--settle can not be negative")
    try:
        verdict = judge(options.folder, options.settle)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(verdict.as_json(), file)
                file.write("\n")
    except (Malformed, OSError) as trouble:
        print(f"lock_judge: {trouble}", file=sys.stderr)
        return 2
    for name in PROPERTIES:
        for violation in verdict.violations:
            if violation.property == name:
                print(violation)
        if verdict.found.get(name, 0) > SHOWN_MAX:
            print(f"{name}: and {verdict.found[name] - SHOWN_MAX} more")
    print(verdict.result())
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
