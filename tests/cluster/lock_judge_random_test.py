#!/usr/bin/env python3
"""The judge of locks (lock_judge.py) on many histories that are drawn: it finds nothing in those of a model that breaks
no rule, finds what is planted into them, and agrees, on histories of pure chance, with the definitions written down
plainly.

  lock_judge_random_test.py [SEEDS]
"""

import collections
import copy
import os
import random
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "tools", "drill"))

import lock_judge
from lock_model import LEASE, MODES, MS, SETTLE, History, Teller, World, compatible

SEEDS = 20


def judged(history):
    with tempfile.TemporaryDirectory() as folder:
        history.write(folder)
        return lock_judge.judge(folder, SETTLE)


# ---- Planting. Each takes a history and changes it, or does not find the place for it. ----

class Grant:
    """A grant, by the lines that tell of it."""

    def __init__(self, file, rows, asked, answer):
        self.file, self.rows, self.asked, self.answer = file, rows, asked, answer
        self.lock, self.mode, self.token = asked["lock"], asked["mode"], answer["token"]
        mine = [row for row in rows if row.get("lock") == self.lock and row.get("token") == self.token]
        self.extensions = [row for row in mine if row["event"] == "valid"]
        self.lost = [row for row in mine if row["event"] == "lost" or row.get("until") == 0]
        releases = [row for row in mine if row.get("call") == "release"]
        self.release = releases[0] if releases else None
        self.released = self.release and next(
            (row for row in rows if row["event"] == "return" and row["op"] == self.release["op"]), None)
        self.deadline = max(row["until"] for row in [answer] + self.extensions)
        self.end = min([self.deadline, rows[-1]["at"]] + [row["at"] for row in self.lost + releases])
        self.believed = self.end > answer["at"]


class Planted:
    """One history, looked at by somebody who wants to spoil it."""

    def __init__(self, history, chance):
        self.history, self.chance = history, chance
        self.faults = history.files["faults"]
        self.killed = {row["client"]: row for row in self.faults if row.get("kind") == "kill_client"}
        self.finish = next(row["at"] for row in self.faults if row["event"] == "finish")
        quiet = [row["at"] for row in self.faults if row["event"] != "finish"]
        self.quiet = max(quiet, default=0) + round(SETTLE * 1000) * MS
        self.clients = {name: rows for name, rows in history.files.items() if name.startswith("client-")}
        self.running = {name: rows for name, rows in self.clients.items() if name not in self.killed}
        self.grants = []
        for file, rows in self.running.items():
            questions = {}
            for row in rows:
                if row["event"] == "invoke":
                    questions[row["op"]] = row
                elif row["event"] == "return" and "token" in row:
                    self.grants.append(Grant(file, rows, questions[row["op"]], row))
        self.grants.sort(key=lambda grant: grant.token)
        self.chance.shuffle(pairs := list(self.next_ones()))
        self.pairs = pairs

    def next_ones(self):
        """Two grants of a lock, one after another, that do not go together."""
        last = {}
        for grant in self.grants:
            before = last.get(grant.lock)
            if before is not None and grant.believed and not compatible(before.mode, grant.mode):
                yield before, grant
            if grant.believed:
                last[grant.lock] = grant
            else:
                last.pop(grant.lock, None)

    def pauses(self, client):
        for fault in self.faults:
            if fault.get("kind") == "pause_client" and fault["client"] == client:
                heal = next(row for row in self.faults if row["event"] == "heal" and row["id"] == fault["id"])
                yield fault["at"], heal["at"]

    def pick(self, things):
        things = list(things)
        return self.chance.choice(things) if things else None

    def renamed(self, grant, token):
        """Everybody tells another token."""
        for row in grant.rows:
            if row.get("token") == grant.token:
                row["token"] = token
        for name, rows in self.history.files.items():
            if name not in self.clients and name != "faults":
                for row in rows:
                    if row.get("client") == grant.file and row["token"] == grant.token:
                        row["token"] = token

    def decisions(self, name, event, first=False):
        """Lines of a resource, of its first life perhaps, each with the answer that the client had."""
        lives = sorted((int(file.rpartition("-")[2]), rows) for file, rows in self.history.files.items()
                       if file.startswith(name + "-"))
        answers = {(file, row["op"]): row for file, rows in self.clients.items() for row in rows
                   if row["event"] == "return" and row["result"] in ("ok", "refused")}
        for _, rows in lives[:1] if first else lives:
            for row in rows:
                if row["event"] == event and (row["client"], row["op"]) in answers:
                    yield rows, row, answers[row["client"], row["op"]]

    def answers(self, *calls):
        """Returns of such calls, of clients that were not killed."""
        for rows in self.running.values():
            asked = {row["op"] for row in rows if row.get("call") in calls}
            for row in rows:
                if row["event"] == "return" and row["op"] in asked:
                    yield rows, row


def told_too_early(p):
    for before, grant in p.pairs:
        if before.release and not before.lost and before.deadline >= before.release["at"]:
            least = max(grant.asked["at"], before.answer["at"])
            if least < before.release["at"]:
                grant.answer["at"] = p.chance.choice((least, p.chance.randrange(least, before.release["at"])))
                return True
    return False


def not_given_back(p):
    for before, grant in p.pairs:
        if before.released and not before.lost and min(before.deadline, before.rows[-1]["at"]) > grant.answer["at"]:
            before.rows.remove(before.release)
            before.rows.remove(before.released)
            return True
    return False


def promised_too_long(p):
    for before, grant in p.pairs:
        if not before.release and not before.lost and before.deadline <= grant.answer["at"] < before.rows[-1]["at"]:
            ([before.answer] + before.extensions)[-1]["until"] = grant.answer["at"] + 1
            return True
    return False


def token_again(p):
    if len(p.grants) < 2:
        return False
    one, other = p.chance.sample(p.grants, 2)
    p.renamed(one, other.token)
    return True


def token_goes_back(p):
    grant = p.pick(grant for grant in p.grants if any(other.answer["at"] < grant.asked["at"] for other in p.grants))
    if grant is None or p.grants[0].token < 3:
        return False
    p.renamed(grant, p.grants[0].token - 2)
    return True


def tokens_exchanged(p):
    for before, grant in p.pairs:
        if before.file != grant.file:
            one, other = before.token, grant.token
            p.renamed(before, other)
            p.renamed(grant, one)
            return True
    return False


def decisions_exchanged(p):
    last = {}
    for rows, row, _ in p.decisions("checking", "applied"):
        if row["call"] == "write":
            first = last.get(row["lock"])
            if first is not None and first["token"] < row["token"]:
                kept = {key: first[key] for key in first if key != "at"}
                first.update({key: row[key] for key in kept})
                row.update(kept)
                return True
            last[row["lock"]] = row
    return False


def applied_though_stale(p):
    for _, row, answer in p.decisions("checking", "refused"):
        row["event"], answer["result"] = "applied", "ok"
        return True
    return False


def refused_though_fresh(p):
    found = p.pick(p.decisions("checking", "applied", first=True))
    if found is None:
        return False
    found[1]["event"], found[2]["result"] = "refused", "refused"
    return True


def answered_otherwise(p):
    found = p.pick(p.decisions("blind", "applied"))
    if found is None:
        return False
    found[2]["result"] = "refused"
    return True


def decision_lost(p):
    found = p.pick(p.decisions(p.chance.choice(("blind", "checking")), "applied"))
    if found is None:
        return False
    found[0].remove(found[1])
    return True


def decided_twice(p):
    found = p.pick(p.decisions("blind", "applied"))
    if found is None:
        return False
    found[0].insert(found[0].index(found[1]), dict(found[1]))
    return True


def token_of_another(p):
    row = p.pick(row for rows in p.running.values() for row in rows if row.get("call") in ("write", "read", "release"))
    if row is None:
        return False
    row["token"] += 1_000_000
    return True


def return_lost(p):
    found = p.pick((rows, row) for rows, row in p.answers("acquire", "release") if "token" not in row)
    if found is None:
        return False
    found[0].remove(found[1])
    return True


def returned_twice(p):
    found = p.pick(p.answers("acquire", "release", "write", "read"))
    if found is None:
        return False
    found[0].insert(found[0].index(found[1]), dict(found[1]))
    return True


def dead_speak(p):
    name = p.pick(p.killed)
    if name is None:
        return False
    p.history.cut.pop(name, None)
    rows = p.history.files[name]
    rows.append({"at": max(p.killed[name]["at"], rows[-1]["at"]) + 1, "client": name, "event": "end"})
    return True


def extended_again(p, after_release):
    """A belief that is over is told to last longer, after its release, or after its client has stood still."""
    for grant in p.chance.sample(p.grants, len(p.grants)):
        given_back = grant.released is not None and grant.released["result"] == "ok"
        after = max(grant.deadline, grant.released["at"] if grant.released else 0) + 1
        slept = any(grant.answer["at"] <= begin and begin + 1.3 * LEASE <= end <= after
                    for begin, end in p.pauses(grant.file))
        if given_back == after_release and (slept or after_release) and after <= grant.rows[-1]["at"]:
            row = {"at": after, "client": grant.file, "event": "valid", "lock": grant.lock, "token": grant.token,
                   "until": after + 1}
            earlier = [other for other in grant.rows if other["at"] <= after and other["event"] != "end"]
            grant.rows.insert(len(earlier), row)
            return True
    return False


def slept_and_extended(p):
    return extended_again(p, False)


def released_and_extended(p):
    return extended_again(p, True)


def lost_in_peace(p):
    row = p.pick(row for grant in p.grants for row in grant.extensions
                 if row["at"] >= p.quiet and not grant.lost and row["at"] < grant.deadline)
    if row is None:
        return False
    row["until"] = 0
    return True


def answered_lost_in_peace(p):
    found = p.pick((rows, row) for rows, row in p.answers("acquire")
                   if row["at"] >= p.quiet and row["result"] == "timeout")
    if found is None:
        return False
    found[1]["result"] = "lost"
    return True


def vanished(p):
    rows = p.pick(p.running.values())
    if rows is None:
        return False
    rows.pop()
    return True


def killed_to_hide_it(p):
    name = p.pick(p.killed)
    if name is None:
        return False
    p.faults.remove(p.killed[name])
    p.faults.append({**p.killed[name], "at": max(p.finish, p.faults[-1]["at"]) + 1})
    return True


# What is planted, and one of what has to be found.
PLANTS = ((told_too_early, {"ME"}), (not_given_back, {"ME"}), (promised_too_long, {"ME"}), (token_again, {"TM"}),
          (token_goes_back, {"TM"}), (tokens_exchanged, {"TM", "LIN"}), (decisions_exchanged, {"ME-T"}),
          (applied_though_stale, {"ME-T"}), (refused_though_fresh, {"ME-T"}), (answered_otherwise, {"USE"}),
          (decision_lost, {"USE"}), (decided_twice, {"USE"}), (token_of_another, {"USE"}), (return_lost, {"NLW"}),
          (returned_twice, {"NPG"}), (dead_speak, {"NPG"}), (slept_and_extended, {"BELIEF"}),
          (released_and_extended, {"NLR"}), (lost_in_peace, {"NFE"}), (answered_lost_in_peace, {"NFE"}),
          (vanished, {"END"}), (killed_to_hide_it, {"END"}))


# ---- Pure chance, and the definitions ----

def chance_of_grants(chance):
    """Some grants of one lock, anyhow: (token, mode, asked, told, end of belief)."""
    tokens = chance.sample(range(1, 9), 5) if chance.random() < 0.8 else [chance.randrange(1, 9) for _ in range(5)]
    grants = []
    for token in tokens[:chance.randrange(2, 6)]:
        asked = chance.randrange(30)
        told = asked + chance.randrange(20)
        grants.append((token, chance.choice(("EX", "EX", *MODES)), asked, told, told + chance.randrange(12)))
    if chance.random() < 0.7:  # Nearly as it should be.
        for (one, other) in ((0, 1), (1, 2), (2, 3), (3, 4)):
            if other < len(grants):
                token, mode, _, _, length = grants[other]
                told = grants[one][4] + chance.randrange(-1, 3)
                told = max(told, 0)
                grants[other] = (token, mode, max(0, told - chance.randrange(25)), told, told + chance.randrange(5))
        if chance.random() < 0.7:
            tokens = sorted(grant[0] for grant in grants)
            grants = [(token, *grant[1:]) for token, grant in zip(tokens, grants)]
    return grants


def told_of_grants(grants, chance):
    history = History()
    for number, (token, mode, asked, told, end) in enumerate(grants):
        client = Teller(history, f"c{number}", client=f"c{number}")
        client.tell(0, "begin")
        client.tell(asked, "invoke", op=1, call="acquire", lock="k", mode=mode)
        by_deadline = end > told and chance.random() < 0.5
        client.tell(told, "return", op=1, result="ok", token=token, until=end if by_deadline else told + 100)
        if not by_deadline:
            client.tell(end, "invoke", op=2, call="release", lock="k", token=token)
    return history


def by_definition(grants):
    """How many pairs overlap, how many tokens come again, how many are too small, and whether there is an order."""
    pairs = sum(not compatible(one[1], other[1]) and max(one[3], other[3]) < min(one[4], other[4])
                for number, one in enumerate(grants) for other in grants[:number])
    again = len(grants) - len({grant[0] for grant in grants})
    too_small = sum(any(other[3] < grant[2] and other[0] > grant[0] for other in grants) for grant in grants)
    began = [grant[2] for grant in grants]
    for _ in grants:
        for first, one in enumerate(grants):
            for second, other in enumerate(grants):
                if one[0] < other[0]:
                    ended = 0 if compatible(one[1], other[1]) or one[4] == one[3] else one[4]
                    began[second] = max(began[second], began[first], ended)
    return pairs, again, too_small, all(at <= grant[3] for at, grant in zip(began, grants))


def chance_of_decisions(chance):
    """A resource that decides anyhow: what it should have applied and refused, and the history."""
    history = History()
    count = chance.randrange(2, 12)
    tokens = chance.sample(range(1, 20), count)
    resource = Teller(history, "r-0", resource="r")
    resource.tell(0, "begin", checks=True, order=0)
    applied, stale, refused = [], 0, 0
    for number, token in enumerate(tokens):
        client = Teller(history, f"c{number}", client=f"c{number}")
        client.tell(0, "begin")
        client.tell(1, "invoke", op=0, call="acquire", lock="k", mode="NL")
        client.tell(2, "return", op=0, result="ok", token=token, until=10**6)
    for op in range(1, chance.randrange(4, 30)):
        number = chance.randrange(count)
        call, token = chance.choice(("write", "read", "read")), tokens[number]
        event = chance.choice(("applied", "refused"))
        forbidden = any(other > token and "write" in (call, other_call) for other, other_call in applied)
        if chance.random() < 0.5:
            event = "refused" if forbidden else "applied"
        client, at = Teller(history, f"c{number}", client=f"c{number}"), 10 * op
        client.tell(at, "invoke", op=op, call=call, resource="r", lock="k", token=token)
        client.tell(at + 2, "return", op=op, result="ok" if event == "applied" else "refused")
        if chance.random() < 0.1:
            resource = Teller(history, f"r-{op}", resource="r")
            resource.tell(at, "begin", checks=True, order=op)
        resource.tell(at + 1, event, call=call, lock="k", token=token, client=f"c{number}", op=op)
        if event == "applied":
            stale += forbidden
            applied.append((token, call))
        else:
            refused += not forbidden
    return history, stale, refused


# ---- The parts of the test ----

def lawful(seeds):
    """Also what the histories have, so that one sees that there was something to judge."""
    failures, counts = 0, collections.Counter()
    for seed in seeds:
        verdict = judged(World(seed).history)
        counts.update(verdict.counters)
        if not verdict.ok:
            failures += 1
            print(f"FAILED lawful history {seed}: {[str(violation) for violation in verdict.violations[:3]]}")
    for name in ("granted", "taken_over", "released", "extended", "applied", "refused", "lost", "killed", "paused",
                 "timeouts", "late_writes", "quiet_ms"):
        if counts[name] == 0:
            failures += 1
            print(f"FAILED: {name}=0 in all lawful histories")
    return failures, counts


def planted(seeds):
    failures, counts, kinds = 0, collections.Counter(), collections.Counter()
    for seed in seeds:
        history = World(seed).history
        for plant, wanted in PLANTS:
            spoilt = copy.deepcopy(history)
            if plant(Planted(spoilt, random.Random(seed))):
                counts[plant.__name__] += 1
                verdict = judged(spoilt)
                kinds.update(verdict.found.keys())
                if not wanted & verdict.found.keys() or verdict.ok:
                    failures += 1
                    print(f"FAILED {plant.__name__} in history {seed}: found {verdict.found}")
    for plant, _ in PLANTS:
        if counts[plant.__name__] < len(seeds) / 10:
            failures += 1
            print(f"FAILED: {plant.__name__} was planted {counts[plant.__name__]} times")
    return failures, counts, kinds


def defined(seeds):
    failures, orders = 0, collections.Counter()
    for seed in seeds:
        chance = random.Random(seed)
        grants = chance_of_grants(chance)
        pairs, again, too_small, ordered = by_definition(grants)
        found = judged(told_of_grants(grants, chance)).found
        orders[ordered] += 1
        orders["LIN alone"] += set(found) == {"LIN"}
        tokens_agree = found.get("TM", 0) == again + too_small
        if found.get("ME", 0) != pairs or not tokens_agree or (
                again == 0 and ordered != (not found)) or set(found) - {"ME", "TM", "LIN"}:
            failures += 1
            print(f"FAILED by definition {seed}: {grants}: {pairs, again, too_small, ordered}, found {found}")
    for seed in seeds:
        history, stale, refused = chance_of_decisions(random.Random(seed))
        verdict = judged(history)
        if (verdict.counters["stale_accepted"], verdict.counters["wrongly_refused"]) != (stale, refused) or \
                verdict.counters["violations"] != stale + refused:
            failures += 1
            print(f"FAILED decisions {seed}: {stale}, {refused}, found {verdict.found}")
    if min(orders[True], orders[False], orders["LIN alone"]) < len(seeds) / 50:
        failures += 1
        print(f"FAILED: histories of chance are all alike: {orders}")
    return failures, orders


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    failures, counts = lawful(range(count))
    print(f"{count} lawful histories:", " ".join(f"{name}={value}" for name, value in counts.items() if value))
    more, plants, kinds = planted(range(count))
    failures += more
    print("planted:", " ".join(f"{name}={value}" for name, value in plants.items()))
    print("found:", " ".join(f"{name}={value}" for name, value in kinds.items()))
    more, orders = defined(range(20 * count))
    failures += more
    print(f"by definition: {dict(orders)}")
    print(f"failures={failures}")
    sys.exit(1 if failures else 0)


main()
