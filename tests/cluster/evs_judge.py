#!/usr/bin/env python3
"""Judges traces of real processes (lockd --evs-trace) by the specification of extended virtual synchrony.

  evs_judge.py [--rest NODE,NODE...] FILE...

The properties are those of docs/testing.md, by the same names; `trace` is what can not be judged. A life that a trace
tells no end of has failed where the trace ends; with --rest the last lives of these nodes run, in a network that is
whole, and nothing is under way among them: then L1 to L3 are judged to the end. Exit code 0: nothing was found;
1: violations, a line each; 2: wrong usage.

It is written from the specification (Moser, Amir, Melliar-Smith, Agarwal 1994) and knows nothing of how a ring works.
"""

import collections
import dataclasses
import itertools
import sys

SHOWN_MAX = 10  # Violations of one property that are printed.

GUARANTEES = ("unordered", "fifo", "agreed", "safe")


@dataclasses.dataclass(slots=True, eq=False)
class Give:
    content: tuple  # Guarantee, length, hash.
    line: int


@dataclasses.dataclass(slots=True, eq=False)
class Deliver:
    message: tuple  # The ring that it was sent in, and its place there: (ring, sequence, index).
    sender: str
    content: tuple
    line: int

    @property
    def ring(self):
        return self.message[0]


@dataclasses.dataclass(slots=True, eq=False)
class Configuration:
    regular: bool
    id: str
    members: tuple
    change: tuple  # Joined, or departed.
    line: int


class Life:
    """What one process told, from its start on."""

    def __init__(self, file, processor):
        self.file, self.processor = file, processor
        self.events = []
        self.left = False     # It took leave.
        self.running = False  # It lives on, at rest.

    def index(self):
        """What the judge looks up."""
        self.gives = [event for event in self.events if isinstance(event, Give)]
        self.regulars = [event.id for event in self.events if isinstance(event, Configuration) and event.regular]
        self.at = {id(event): at for at, event in enumerate(self.events)}
        self.segments = []                               # (configuration, what was delivered in it), one after another.
        self.of_ring = collections.defaultdict(dict)     # Deliveries by the ring that they were sent in.
        self.where = {}                                  # The configuration in which each message was delivered first.
        for event in self.events:
            if isinstance(event, Configuration):
                self.segments.append((event, []))
            elif isinstance(event, Deliver) and self.segments:
                self.segments[-1][1].append(event)
                self.of_ring[event.ring].setdefault(event.message, event)
                self.where.setdefault(event.message, self.segments[-1][0])
        # The last event at which it was in each of its regular configurations.
        self.end_of = {}
        ring = None
        for at, event in enumerate(self.events):
            if isinstance(event, Configuration):
                ring = event.id if event.regular else None
            if ring is not None:
                self.end_of[ring] = at

    def went_beyond(self, ring):
        """It has installed a regular configuration after this one, in which it need not have been."""
        if ring in self.regulars:
            return self.regulars[-1] != ring
        return bool(self.regulars) and number(self.regulars[-1]) > number(ring)


def number(ring):
    """The part of a configuration's name that grows."""
    return int(ring.split(".")[0])


def node(processor):
    return int(processor.split(":")[0])


# ---- Reading ----

def names(text):
    return () if text == "-" else tuple(text.split(","))


def content_of(guarantee, length, fingerprint):
    if guarantee not in GUARANTEES:
        raise ValueError(guarantee)
    return guarantee, int(length), int(fingerprint, 16)


def event_of(words, given, line):
    kind, *words = words
    if kind == "give":
        place, *content = words
        if int(place) != given + 1:
            raise ValueError(place)
        return Give(content_of(*content), line)
    if kind == "deliver":
        ring, sequence, index, sender, *content = words
        number(ring), node(sender)
        return Deliver((ring, int(sequence), int(index)), sender, content_of(*content), line)
    if kind in ("regular", "transitional"):
        name, members, change = words
        number(name)
        return Configuration(kind == "regular", name, names(members), names(change), line)
    raise ValueError(kind)


def read(file, lines, found):
    """The lives that a file tells of. A line that was cut off by death is none."""
    lives = []
    given = 0
    for at, line in enumerate(lines, 1):
        if line.endswith(" ~\n") or (at == len(lines) and not line.endswith("\n")):
            continue
        words = line.split()
        try:
            if words[0] == "begin":
                _, version, state, processor = words
                node(processor)
                if version != "1" or state != "whole":
                    found("trace", f"{file}:{at}: not written to its end: {line.strip()}")
                lives.append(Life(file, processor))
                given = 0
                continue
            life = lives[-1]
            if life.left:
                found("S2", f"{file}:{at}: {life.processor} tells something after it has left")
            if words == ["leave"]:
                life.left = True
                continue
            event = event_of(words, given, at)
            given += isinstance(event, Give)
            life.events.append(event)
        except (ValueError, TypeError, IndexError):
            found("trace", f"{file}:{at}: what is this? {line[:100]!r}")
    return lives


# ---- Judging ----

class Judge:
    """All lives together. Each method that judges is named after what it judges."""

    def __init__(self, lives, rest=None):
        self.lives = {}
        self.violations = []
        self.counts = collections.Counter()
        for life in lives:
            if life.processor in self.lives:
                self.found("S2", f"{life.processor} lives twice: {self.lives[life.processor].file}, {life.file}")
            self.lives[life.processor] = life
        self.rest = rest
        for name in rest or ():
            mine = [life for life in lives if node(life.processor) == name]
            if not mine or mine[-1].left:
                self.found("trace", f"node {name} is said to run, and its trace says no such thing")
            else:
                mine[-1].running = True
        for life in self.lives.values():
            life.index()

    def found(self, name, text):
        self.violations.append((name, text))

    def told(self, life, event):
        """An event, for people."""
        return f"{life.file}:{event.line}: {life.processor}"

    def judge(self):
        self.configurations()
        if self.violations:
            # The other properties speak of configurations as they should be.
            self.count()
            return
        self.transitions()
        self.deliveries()
        self.sendings()
        self.together()
        self.causes()
        self.holes()
        self.safe()
        self.order("S3", merged=False)
        self.order("S6", merged=True)
        if self.rest is not None:
            self.at_rest()
        self.count()

    def each_delivery(self):
        for life in self.lives.values():
            for configuration, deliveries in life.segments:
                for event in deliveries:
                    yield life, configuration, event

    # S2: configurations as each process tells them.

    def configurations(self):
        self.members, self.kind = {}, {}
        for life in self.lives.values():
            last, highest, ring = None, -1, None
            for event in life.events:
                if not isinstance(event, Configuration):
                    if last is None:
                        self.found("S2", f"{self.told(life, event)} has no configuration yet")
                        break
                    continue
                told = f"{self.told(life, event)} installs {event.id}"
                members = (event.regular, event.members)
                if self.members.setdefault(event.id, event.members) != event.members or \
                        self.kind.setdefault(event.id, event.regular) != event.regular:
                    self.found("S2", f"{told} as {members}, others as {self.kind[event.id], self.members[event.id]}")
                if life.processor not in event.members:
                    self.found("S2", f"{told}, of which it is no member")
                if list(event.members) != sorted(set(event.members), key=lambda p: (node(p), p)):
                    self.found("S2", f"{told} with members that are not sorted: {event.members}")
                if last is None and (not event.regular or event.members != (life.processor,)):
                    self.found("S2", f"{told} first, and is not alone in it")
                if last is not None and last.regular == event.regular:
                    self.found("S2", f"{told} after {last.id}, of the same kind")
                if event.regular:
                    if number(event.id) <= highest:
                        self.found("S2", f"{told} after one of number {highest}")
                    highest = number(event.id)
                before = set(last.members if last else event.members)
                now = set(event.members)
                change = now - before if event.regular else before - now
                if last is not None and set(event.change) != change:
                    told_as = "joined" if event.regular else "departed"
                    self.found("S2", f"{told}: {told_as} {event.change}, and it should be {sorted(change)}")
                if not event.regular and not now <= before:
                    self.found("S2", f"{told}, with {sorted(now - before)}, not of {ring}")
                if event.regular and last is not None and not before <= now:
                    self.found("S2", f"{told} without {sorted(before - now)}, who went along")
                last, ring = event, event.id
        for name in {member for members in self.members.values() for member in members}:
            if name not in self.lives:
                self.found("trace", f"{name} is a member, and there is no trace of its life")

    # S2: a transitional configuration has exactly those who go from the same regular one to the same next one.

    def transitions(self):
        went = {}  # (life, next ring): (ring before, transitional configuration).
        for life in self.lives.values():
            told = [segment[0] for segment in life.segments]
            for before, between, after in zip(told, told[1:], told[2:]):
                if before.regular:
                    went[life.processor, after.id] = (before.id, between)
        for (name, after), (before, between) in went.items():
            for other in self.members[after]:
                from_other = went.get((other, after))
                if from_other is None:
                    continue
                together = other in between.members
                if together != (from_other[0] == before) or (together and from_other[1].id != between.id):
                    self.found("S2", f"{name} goes from {before} by {between.id} {between.members} to {after}, and "
                                     f"{other} from {from_other[0]} by {from_other[1].id}")

    # S1: what is delivered was sent, once, and is delivered where it was sent or right after.

    def deliveries(self):
        self.messages = {}  # The first delivery of each, and by whom.
        for life in self.lives.values():
            had = set()
            ring, highest = None, None
            for configuration, deliveries in life.segments:
                if configuration.regular:
                    ring, highest = configuration.id, ("", -1, -1)
                for event in deliveries:
                    told = f"{self.told(life, event)} delivers {event.message}"
                    first, whose = self.messages.setdefault(event.message, (event, life))
                    if (event.sender, event.content) != (first.sender, first.content):
                        self.found("S1", f"{told} of {event.sender}, {event.content}; {self.told(whose, first)} had it "
                                         f"of {first.sender}, {first.content}")
                    if event.message in had:
                        self.found("S1", f"{told} again")
                    if event.ring != ring:
                        self.found("S1", f"{told} in {configuration.id}, which does not belong to it")
                    elif event.sender not in self.members[ring]:
                        self.found("S1", f"{told} of {event.sender}, who is no member of it")
                    elif event.message < highest and event.message not in had:
                        self.found("S6", f"{told} after {highest}")
                    else:
                        highest = max(highest, event.message)
                    had.add(event.message)

    # S1 and L1: who sent it gave it to his ring before, in this order, and hears it himself.

    def sendings(self):
        self.given = {}  # For each message the life that sent it, and when it gave it.
        by_sender = collections.defaultdict(set)
        for message, (event, _) in self.messages.items():
            by_sender[event.sender].add(message)
        for name, messages in by_sender.items():
            life = self.lives.get(name)
            if life is None:
                continue
            own = [event.message for event in life.events if isinstance(event, Deliver) and event.sender == name]
            own = list(dict.fromkeys(own))
            others = messages.difference(own)
            for message in sorted(others):
                ring = message[0]
                if ring not in life.regulars:
                    self.found("S1", f"{message} was sent by {name}, who never was in {ring}")
                elif life.went_beyond(ring) or life.running:
                    self.found("L1", f"{name} does not deliver its own {message}, and has not failed")
            # Only what it sent in its last configuration it can have missed, by failing.
            missed = sorted(m for m in others if life.regulars and m[0] == life.regulars[-1])
            for message, give in zip(own + missed, life.gives):
                self.given[message] = (life, give)
                if give.content != self.messages[message][0].content:
                    self.found("S1", f"{message} is {self.messages[message][0].content}; what {name} gave "
                                     f"({life.file}:{give.line}) was {give.content}")
                    break
                at = life.at[id(give)]
                if message in life.of_ring[message[0]] and life.at[id(life.of_ring[message[0]][message])] < at:
                    self.found("S1", f"{name} delivers {message} before it gave it ({life.file}:{give.line})")
                if at > life.end_of.get(message[0], -1):
                    self.found("S1", f"{name} gave {message} ({life.file}:{give.line}) when it had left {message[0]}")
            if len(own) + len(missed) > len(life.gives):
                self.found("S1", f"{len(own) + len(missed)} messages of {name} are delivered, it gave {len(life.gives)}")

    # S4: who goes from one configuration to the next together has delivered the same in the first.

    def together(self):
        had = {}
        for life in self.lives.values():
            for (before, deliveries), (after, _) in zip(life.segments, life.segments[1:]):
                messages = {event.message for event in deliveries}
                other, others = had.setdefault((before.id, after.id), (life, messages))
                if messages != others:
                    self.found("S4", f"{life.processor} and {other.processor} go from {before.id} to {after.id}; only one "
                                     f"of them delivers {sorted(messages ^ others)[:3]} before")

    # S5: who delivers a message has delivered before it, of the same ring, what its sender had sent and delivered.

    def causes(self):
        sent = collections.defaultdict(list)  # By sender and ring, in the order of giving.
        for message, (life, give) in self.given.items():
            sent[life.processor, message[0]].append((life.at[id(give)], message))
        for (name, ring), messages in sent.items():
            sender = self.lives[name]
            heard = [(sender.at[id(event)], event.message) for event in sender.of_ring[ring].values()]
            # What comes before each message: what its sender sent, and delivered, earlier in this ring.
            causes = sorted([(at, False, message) for at, message in heard] +
                            [(at, True, message) for at, message in messages])
            for life in self.lives.values():
                place = {message: at for at, message in enumerate(life.of_ring.get(ring, ()))}
                if not place:
                    continue
                latest, cause = -1, None
                for _, is_sent, message in causes:
                    at = place.get(message, len(place))
                    if is_sent and message in place and at < latest:
                        self.found("S5", f"{life.processor} delivers {message} of {name} without {cause} before it")
                        break
                    if at > latest:
                        latest, cause = at, message

    # S6.3: below a delivered message nothing is left out that a member of its configuration sent.

    def holes(self):
        known = collections.defaultdict(list)
        for message in sorted(self.messages):
            known[message[0]].append(message)
        for life in self.lives.values():
            for ring, delivered in life.of_ring.items():
                last = {}  # The last that it delivered, in the regular configuration and in all of both.
                for message in delivered:
                    configuration = life.where[message]
                    last[configuration.id] = (max(message, last.get(configuration.id, (message,))[0]), configuration)
                for message in known[ring]:
                    if message in delivered:
                        continue
                    for highest, configuration in last.values():
                        if message < highest and self.messages[message][0].sender in configuration.members:
                            self.found("S6", f"{life.processor} delivers {highest} in {configuration.id}, and leaves out "
                                             f"{message} of {self.messages[message][0].sender}")

    # S7: a safe message is delivered by every member of the configuration in which one delivers it, unless it fails.

    def safe(self):
        judged = set()
        for life, configuration, event in self.each_delivery():
            if event.content[0] != "safe" or (event.message, configuration.id) in judged:
                continue
            judged.add((event.message, configuration.id))
            self.counts["safe_deliveries_judged"] += 1
            for name in configuration.members:
                other = self.lives[name]
                if event.message in other.of_ring.get(event.ring, ()):
                    continue
                told = f"{self.told(life, event)} delivers {event.message} as safe in {configuration.id}; {name}"
                if event.ring not in other.regulars and configuration.regular:
                    if other.went_beyond(event.ring) or other.left or other.running:
                        self.found("S7.2", f"{told} is a member, and never installs it")
                    else:
                        # A process that is killed can have done what it had no time to tell: its trace ends one turn
                        # of its loop too early. That it would not have installed it can not be shown.
                        self.counts["installs_not_told_before_death"] += 1
                elif other.went_beyond(event.ring):
                    self.found("S7.1", f"{told} is in {other.regulars[-1]} without it")
                elif other.running:
                    self.found("S7.1", f"{told} runs without it")

    # S3 and S6: the order of each process, and giving before delivering, make no circle, when configurations are one
    # event each, and for S6 all deliveries of a message too.

    def order(self, name, merged):
        point_of, after, waits = {}, collections.defaultdict(set), collections.Counter()
        label = {}

        def point(life, event):
            if isinstance(event, Configuration):
                key = event.id
            elif merged and isinstance(event, Deliver):
                key = event.message
            else:
                key = (life.processor, id(event))
            at = point_of.setdefault(key, len(point_of))
            label.setdefault(at, (life, event))
            return at

        def edge(first, second):
            if second not in after[first]:
                after[first].add(second)
                waits[second] += 1

        for life in self.lives.values():
            points = [point(life, event) for event in life.events]
            for first, second in zip(points, points[1:]):
                edge(first, second)
        for life, _, event in self.each_delivery():
            if event.message in self.given:
                edge(point(*self.given[event.message]), point(life, event))
            sender = self.lives.get(event.sender)
            if sender is not None and event.ring in point_of:
                edge(point_of[event.ring], point(life, event))
        ready = [at for at in range(len(point_of)) if waits[at] == 0]
        done = 0
        while ready:
            first = ready.pop()
            done += 1
            for second in after[first]:
                waits[second] -= 1
                if waits[second] == 0:
                    ready.append(second)
        if done != len(point_of):
            stuck = sorted(at for at in range(len(point_of)) if waits[at] > 0)
            life, event = label[stuck[0]]
            self.found(name, f"{len(point_of) - done} events come before themselves or after such; the first one is "
                             f"{self.told(life, event)}")

    # L1, L2, L3 of those who run, and to whom nothing happens any more.

    def at_rest(self):
        running = [life for life in self.lives.values() if life.running]
        wanted = tuple(sorted((life.processor for life in running), key=node))
        for life in running:
            last = life.segments[-1][0]
            if not last.regular or last.members != wanted:
                self.found("L2", f"{life.processor} ends in {last.id} with {last.members}; those who run are {wanted}")
            if last.regular and last.id != running[0].segments[-1][0].id:
                self.found("L2", f"{life.processor} ends in {last.id}, others in {running[0].segments[-1][0].id}")
            own = {event.message for event in life.events if isinstance(event, Deliver) and event.sender == life.processor}
            if len(own) < len(life.gives):
                self.found("L1", f"{life.processor} has given {len(life.gives)} messages and delivered {len(own)} of them")
        for one, other in itertools.pairwise(running):
            last = one.segments[-1][0].id
            different = set(one.of_ring.get(last, ())) ^ set(other.of_ring.get(last, ()))
            if different:
                self.found("L3", f"only one of {one.processor} and {other.processor} delivers {sorted(different)[:3]}")

    # So that one sees whether there was something to judge.

    def count(self):
        counts = self.counts
        counts["lives"] = len(self.lives)
        counts["messages"] = len({event.message for _, _, event in self.each_delivery()})
        for life, configuration, event in self.each_delivery():
            counts["deliveries"] += 1
            counts["deliveries_in_transitional"] += not configuration.regular
            counts["delivered_" + event.content[0]] += 1
        for life in self.lives.values():
            counts["given"] += len(life.gives)
            counts["left"] += life.left
            counts["failed"] += not life.left and not life.running
            for configuration, _ in life.segments:
                counts["regular" if configuration.regular else "transitional"] += 1


def judge_lines(files, rest=None):
    """What is found in these traces, {name: lines}: [(property, text)], and the counts."""
    trouble = []
    lives = [life for file, lines in files.items()
             for life in read(file, lines, lambda name, text: trouble.append((name, text)))]
    judge = Judge(lives, rest)
    judge.judge()
    return trouble + judge.violations, judge.counts


def lines_of(path):
    with open(path, encoding="ascii", errors="replace", newline="\n") as file:
        return list(file)


def judge_files(paths, rest=None):
    return judge_lines({path: lines_of(path) for path in paths}, rest)


def main(arguments):
    rest = None
    try:
        if arguments[:1] == ["--rest"]:
            rest = {int(text) for text in arguments[1].split(",")}
            arguments = arguments[2:]
    except (IndexError, ValueError):
        arguments = []
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        violations, counts = judge_files(arguments, rest)
    except OSError as trouble:
        print(f"evs_judge: {trouble}", file=sys.stderr)
        return 2
    shown = collections.Counter()
    for name, text in violations:
        shown[name] += 1
        if shown[name] <= SHOWN_MAX:
            print(f"{name}: {text}")
    print(" ".join(f"{name}={count}" for name, count in sorted(counts.items())))
    print(f"violations={len(violations)}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
