#!/usr/bin/env python3
"""The judge of locks (lock_judge.py) is judged: histories made by hand, lawful ones in which it finds nothing, and for
each property wrong ones in which it finds just that. Times are in milliseconds here, but for what is just beside."""

import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import traceback

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "tools", "drill"))

import lock_judge
from lock_model import MODES, MS, History, Teller, compatible

NS = 1 / MS


class Client:
    """Tells what a client does; its operations are numbered from 1."""

    def __init__(self, history, name, begin=0):
        self.teller, self.op = Teller(history, name, client=name), 0
        self.tell(begin, "begin")

    def tell(self, at, event, **fields):
        if fields.get("until", 0) > 0:
            fields["until"] = round(fields["until"] * MS)
        self.teller.tell(round(at * MS), event, **fields)

    def operation(self, asked, told, result, call, answer=None, **fields):
        self.op += 1
        self.tell(asked, "invoke", op=self.op, call=call, **fields)
        if told is not None:
            self.tell(told, "return", op=self.op, result=result, **(answer or {}))
        return self.op

    def acquire(self, asked, told, token, until, lock="k", mode="EX"):
        return self.operation(asked, told, "ok", "acquire", {"token": token, "until": until}, lock=lock, mode=mode)

    def refused(self, asked, told, result, lock="k", mode="EX"):
        return self.operation(asked, told, result, "acquire", lock=lock, mode=mode)

    def release(self, asked, told, token, lock="k", result="ok"):
        return self.operation(asked, told, result, "release", lock=lock, token=token)

    def use(self, asked, told, token, result="ok", call="write", lock="k", resource="r"):
        return self.operation(asked, told, result, call, resource=resource, lock=lock, token=token)

    def valid(self, at, token, until, lock="k"):
        self.tell(at, "valid", lock=lock, token=token, until=until)

    def lost(self, at, token, lock="k"):
        self.tell(at, "lost", lock=lock, token=token)

    def end(self, at):
        self.tell(at, "end")


class Resource:
    """Tells what one life of a resource decides."""

    def __init__(self, history, order=1, checks=True, begin=0, name="r"):
        self.teller = Teller(history, f"{name}-{order}", resource=name)
        self.teller.tell(round(begin * MS), "begin", checks=checks, order=order)

    def decide(self, at, client, op, token, event="applied", call="write", lock="k"):
        self.teller.tell(round(at * MS), event, call=call, lock=lock, token=token, client=client, op=op)


class Faults:
    def __init__(self, history):
        self.teller, self.count = Teller(history, "faults"), 0

    def fault(self, at, until, kind="partition", **fields):
        """Healed at `until`, unless that is None."""
        self.count += 1
        self.teller.tell(round(at * MS), "fault", kind=kind, id=self.count, **fields)
        if until is not None:
            self.teller.tell(round(until * MS), "heal", id=self.count)

    def kill(self, at, client, **fields):
        self.fault(at, None, "kill_client", client=client, **fields)

    def finish(self, at):
        self.teller.tell(round(at * MS), "finish")


RIGHT, WRONG = [], []


def right(**counters):
    """A lawful history, by a function that tells it; perhaps with what has to be counted."""
    return lambda tell: RIGHT.append((tell, counters)) or tell


def wrong(name, count=1, **counters):
    """A history that breaks this property, so often, and no other."""
    return lambda tell: WRONG.append((tell, name, count, counters)) or tell


def two(history):
    return Client(history, "a"), Client(history, "b")


def used(history, resource, client, asked, token, event="applied", call="write", name="a"):
    """One operation, told by both sides."""
    op = client.use(asked, asked + 2, token, "ok" if event == "applied" else "refused", call)
    resource.decide(asked + 1, name, op, token, event, call)


# ---- ME ----

@wrong("ME", belief_overlaps=1, taken_over=1)
def two_believe_for_an_instant(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 100 - NS, 6, 200)


@right(granted=2, taken_over=1)
def one_believes_when_the_other_has_just_ended(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 100, 6, 200)


@wrong("ME")
def a_client_competes_with_itself(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.acquire(3, 50, 6, 200)


@wrong("ME")
def a_longer_belief_is_told_in_time(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.valid(90, 5, 180)
    b.acquire(3, 170, 6, 200)


@right(extended=2, released=1)
def a_longer_belief_ends_with_its_release(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.valid(90, 5, 180)
    a.valid(100, 5, 190)
    a.release(160, 165, 5)
    b.acquire(3, 160, 6, 200)


@wrong("ME")
def a_shorter_deadline_takes_nothing_back(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.valid(50, 5, 80)
    b.acquire(3, 90, 6, 200)


@wrong("ME")
def a_paused_client_believes_on(h):
    a, b = two(h)
    Faults(h).fault(5, 300, "pause_client", client="a")
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 99, 6, 200)


@right(paused=1, lost=1)
def a_paused_client_believes_until_its_deadline(h):
    a, b = two(h)
    Faults(h).fault(5, 300, "pause_client", client="a")
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 100, 6, 200)
    a.valid(301, 5, 0)


@wrong("ME")
def before_a_kill_there_is_belief(h):
    a, b = two(h)
    Faults(h).kill(50, "a")
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 49, 6, 200)


@right(killed=1, taken_over=1)
def the_dead_do_not_believe(h):
    a, b = two(h)
    Faults(h).kill(50, "a")
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 50, 6, 200)


@right(killed=1)
def who_may_be_dead_may_not_believe(h):
    a, b = two(h)
    Faults(h).kill(50, "a", **{"from": 40 * MS})
    a.acquire(1, 2, 5, 100)
    a.valid(45, 5, 110)
    b.acquire(3, 40, 6, 200)


@right(taken_over=1)
def who_has_ended_does_not_believe(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.end(50)
    b.acquire(3, 50, 6, 200)


@right(lost=1)
def what_is_lost_is_not_believed(h):
    a, b = two(h)
    Faults(h).fault(0, 10)
    a.acquire(1, 2, 5, 100)
    a.lost(50, 5)
    b.acquire(3, 50, 6, 200)


@right(lost=1)
def what_is_asked_for_and_not_held_is_not_believed(h):
    a, b = two(h)
    Faults(h).fault(0, 10)
    a.acquire(1, 2, 5, 100)
    a.valid(50, 5, 0)
    a.lost(60, 5)
    b.acquire(3, 50, 6, 200)


@right(released=0, taken_over=0)
def a_release_ends_belief_whatever_its_answer(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.release(50, 70, 5, result="timeout")
    b.acquire(3, 50, 6, 200)


@right(taken_over=1, released=1, late_releases=1)
def a_release_that_comes_after_the_next_grant_prevents_nothing(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 100, 6, 200)
    a.release(150, 160, 5)


@right(taken_over=0, released=1, late_releases=0)
def the_first_release_counts(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.release(50, 55, 5, result="timeout")
    b.acquire(3, 60, 6, 200)
    a.release(70, 80, 5)


@right(locks=2)
def other_locks_do_not_matter(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100, "k")
    b.acquire(3, 4, 6, 200, "l")


@wrong("ME", 3)
def each_pair_counts(h):
    for number, name in enumerate("abc"):
        Client(h, name).acquire(1, 2 + number, 5 + number, 100)


def modes(one, other):
    def tell(h):
        a, b = two(h)
        a.acquire(1, 2, 5, 100, mode=one)
        b.acquire(3, 50, 6, 200, mode=other)
    tell.__name__ = f"{one}_beside_{other}"
    return tell


for mode, beside in itertools.product(MODES, MODES):
    (right() if compatible(mode, beside) else wrong("ME"))(modes(mode, beside))


# ---- BELIEF ----

def extended_late(at, begin, end, name="a"):
    """The longest lease that anybody is told of is 100 ms."""
    def tell(h):
        Faults(h).fault(begin, end, "pause_client", client=name)
        a = Client(h, "a")
        a.acquire(1, 2, 5, 100)
        a.valid(20, 5, 120)
        a.valid(at, 5, at + 100)
    tell.__name__ = f"extended_late({at}, {begin}, {end}, {name})"
    return tell


# It may have been extended at 30, when it was not asked for; but from 30 to 155 it can not last.
wrong("BELIEF", late_extensions=1)(extended_late(156, 30, 155))
wrong("BELIEF", late_extensions=1)(extended_late(155, 30, 160))
right(late_extensions=1)(extended_late(155, 30, 155 - NS))
right(late_extensions=1)(extended_late(155 - NS, 30, 160))
right(late_extensions=1)(extended_late(156, 30, 155, "b"))
right(late_extensions=1)(extended_late(300, 2 - NS, 299))
right(late_extensions=0, extended=2)(extended_late(120, 30, 119))


@right(late_extensions=1)
def a_lease_is_as_long_as_any_that_was_told(h):
    a, b = two(h)
    Faults(h).fault(30, 120, "pause_client", client="a")
    a.acquire(1, 2, 5, 62)
    a.valid(121, 5, 181)
    b.acquire(1, 2, 6, 102, "l")


@wrong("LIN", late_extensions=1)
def another_one_had_it_before_it_was_extended(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 110, 6, 200)
    b.release(120, 130, 6)
    a.valid(140, 5, 240)


@wrong("ME", late_extensions=1)
def another_one_has_it_when_it_is_extended(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 110, 6, 200)
    a.valid(140, 5, 240)


@right(extended=1)
def at_the_very_deadline_it_can_be_extended(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.valid(100, 5, 200)


@right()
def a_deadline_that_has_passed_extends_nothing(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.valid(150, 5, 150)
    a.valid(160, 5, 100)


@wrong("BELIEF", lost=1)
def what_was_lost_comes_back(h):
    Faults(h).fault(0, 10)
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.lost(50, 5)
    a.valid(60, 5, 200)


@wrong("BELIEF", lost=1)
def what_was_not_held_comes_back(h):
    Faults(h).fault(0, 10)
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.valid(50, 5, 0)
    a.valid(60, 5, 100)


@wrong("BELIEF", lost=1, extended=2)
def what_came_back_is_extended(h):
    Faults(h).fault(0, 10)
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.lost(50, 5)
    a.valid(60, 5, 200)
    a.valid(70, 5, 210)
    a.valid(80, 5, 220)


@right(late_extensions=2, late_writes=1, applied=3)
def nobody_relies_on_it_between_a_deadline_and_a_late_extension(h):
    a, r = Client(h, "a"), Resource(h, checks=False)
    a.acquire(1, 2, 5, 100)
    a.valid(120, 5, 200)
    a.valid(250, 5, 300)
    used(h, r, a, 150, 5)
    used(h, r, a, 230, 5)
    used(h, r, a, 260, 5)


@wrong("BELIEF")
def granted_when_it_is_over(h):
    Client(h, "a").acquire(1, 20, 5, 20)


@right(granted=1)
def paused_between_the_answer_and_the_clock(h):
    Faults(h).fault(10, 500, "pause_client", client="a")
    Client(h, "a").acquire(1, 501, 5, 400)


@wrong("BELIEF")
def another_one_is_paused_then(h):
    Faults(h).fault(10, 500, "pause_client", client="b")
    Client(h, "a").acquire(1, 501, 5, 400)


@wrong("BELIEF")
def paused_long_before_it_was_asked_for(h):
    Faults(h).fault(1, 9, "pause_client", client="a")
    Client(h, "a").acquire(10, 501, 5, 400)


@wrong("BELIEF")
def paused_when_it_had_long_returned(h):
    Faults(h).fault(502, 600, "pause_client", client="a")
    Client(h, "a").acquire(1, 501, 5, 400)


# ---- TM ----

@wrong("TM", token_regressions=1)
def a_token_of_another_lock_is_greater(h):
    a, b = two(h)
    a.acquire(1, 2, 6, 100, "k")
    b.acquire(2 + NS, 4, 5, 100, "l")


@wrong("TM")
def a_token_of_the_same_lock_is_greater(h):
    a, b = two(h)
    a.acquire(1, 2, 6, 100)
    b.acquire(100, 101, 5, 200)


@right()
def tokens_of_what_was_asked_for_at_the_same_time(h):
    a, b = two(h)
    a.acquire(1, 2, 6, 100, "k")
    b.acquire(2, 4, 5, 100, "l")


@wrong("TM")
def a_token_comes_twice(h):
    a, b = two(h)
    a.acquire(1, 4, 5, 100, "k")
    b.acquire(2, 4, 5, 100, "l")


@wrong("TM", 2)
def a_token_comes_three_times(h):
    for number, name in enumerate("abc"):
        Client(h, name).acquire(1, 10, 5, 20, lock=f"k{number}")


@wrong("TM")
def a_client_is_given_its_own_token_again(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 50)
    a.acquire(60, 62, 5, 100)


# ---- ME-T ----

def guarded(history, *orders):
    """Two clients with tokens 5 and 6, one after another; the first one has not noticed."""
    a, b = two(history)
    Faults(history).fault(5, 400, "pause_client", client="a")
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 100, 6, 200)
    return a, b, *(Resource(history, order, begin=120 + 100 * number) for number, order in enumerate(orders))


@wrong("ME-T", stale_accepted=1)
def a_write_under_a_token_that_is_over(h):
    a, b, r = guarded(h, 1)
    used(h, r, b, 150, 6, name="b")
    used(h, r, a, 410, 5)


@right(refused=1, stale_accepted=0)
def a_write_under_a_token_that_is_over_is_refused(h):
    a, b, r = guarded(h, 1)
    used(h, r, b, 150, 6, name="b")
    used(h, r, b, 155, 6, name="b")
    used(h, r, a, 410, 5, "refused")


@wrong("ME-T", stale_accepted=1)
def a_write_below_a_read(h):
    a, b, r = guarded(h, 1)
    used(h, r, b, 150, 6, call="read", name="b")
    used(h, r, a, 410, 5)


@wrong("ME-T", stale_accepted=1)
def a_read_below_a_write(h):
    a, b, r = guarded(h, 1)
    used(h, r, b, 150, 6, name="b")
    used(h, r, a, 410, 5, call="read")


@right(applied=2)
def a_read_below_a_read(h):
    a, b, r = guarded(h, 1)
    used(h, r, b, 150, 6, call="read", name="b")
    used(h, r, a, 410, 5, call="read")


@wrong("ME-T", wrongly_refused=1)
def a_read_below_a_read_is_refused(h):
    a, b, r = guarded(h, 1)
    used(h, r, b, 150, 6, call="read", name="b")
    used(h, r, a, 410, 5, "refused", call="read")


@right(applied=1, late_writes=0)
def a_late_write_that_nobody_forbids(h):
    a, _, r = guarded(h, 1)
    used(h, r, a, 410, 5)


@wrong("ME-T", wrongly_refused=1)
def a_late_write_that_nobody_forbids_is_refused(h):
    a, _, r = guarded(h, 1)
    used(h, r, a, 410, 5, "refused")


@right(applied=2)
def each_lock_has_tokens_of_its_own(h):
    a, b = two(h)
    r = Resource(h)
    a.acquire(1, 2, 5, 100, "k")
    b.acquire(3, 4, 6, 100, "l")
    r.decide(11, "b", b.use(10, 12, 6, lock="l"), 6, lock="l")
    r.decide(21, "a", a.use(20, 22, 5), 5)


@wrong("ME-T", stale_accepted=1, resource_lives=2)
def another_life_of_the_resource_has_forgotten(h):
    a, b, old, new = guarded(h, 9, 10)
    used(h, old, b, 150, 6, name="b")
    used(h, new, a, 410, 5)


@right(refused=1, resource_lives=2, refusals_not_judged=0)
def another_life_of_the_resource_remembers(h):
    a, b, old, new = guarded(h, 9, 10)
    used(h, old, b, 150, 6, name="b")
    used(h, new, a, 410, 5, "refused")


@right(refused=1, refusals_not_judged=1)
def another_life_remembers_what_the_first_had_no_time_to_write(h):
    a, b, _, new = guarded(h, 1, 2)
    b.use(150, 190, 6, "error")
    used(h, new, a, 410, 5, "refused")
    h.cut["r-1"] = '{"at":160000000,"resource":"r","event":"app'


@wrong("ME-T", wrongly_refused=1)
def what_was_asked_for_in_this_life_is_not_hidden(h):
    a, b, _, new = guarded(h, 1, 2)
    b.use(230, 240, 6, "error")
    used(h, new, a, 410, 5, "refused")


@wrong("ME-T", wrongly_refused=1)
def a_first_life_has_nothing_that_is_hidden(h):
    a, b, new = guarded(h, 1)
    b.use(110, 115, 6, "error")
    used(h, new, a, 410, 5, "refused")


@wrong("ME-T", 2, wrongly_refused=2)
def what_was_refused_is_not_hidden(h):
    a, b, old, new = guarded(h, 1, 2)
    old.decide(151, "b", b.use(150, 190, 6, "error"), 6, "refused")
    used(h, new, a, 410, 5, "refused")


@wrong("ME-T", wrongly_refused=1)
def a_hidden_read_forbids_no_read(h):
    a, b, _, new = guarded(h, 1, 2)
    b.use(150, 190, 6, "error", call="read")
    used(h, new, a, 410, 5, "refused", call="read")


@right(late_writes=1, applied=2)
def who_does_not_compare_writes_late(h):
    a, b = guarded(h)[:2]
    r = Resource(h, checks=False)
    used(h, r, b, 150, 6, name="b")
    used(h, r, a, 410, 5)


@wrong("ME", late_writes=1)
def a_write_is_late_after_the_next_has_written_though_both_believe(h):
    a, b = two(h)
    r = Resource(h, checks=False)
    a.acquire(1, 2, 5, 400)
    b.acquire(3, 100, 6, 500)
    used(h, r, b, 150, 6, name="b")
    used(h, r, a, 200, 5)


@right(late_writes=1, applied=2)
def a_write_is_late_after_the_next_has_written(h):
    a, b = two(h)
    r = Resource(h, checks=False)
    a.acquire(1, 2, 5, 400, mode="PR")
    b.acquire(3, 4, 6, 200, mode="CR")
    c = Client(h, "c")
    c.acquire(3, 400, 7, 500)
    used(h, r, c, 402, 7, name="c")
    used(h, r, a, 410, 5)


@right(late_writes=0, applied=2)
def a_write_in_time_is_not_late(h):
    a, b = two(h)
    r = Resource(h, checks=False)
    a.acquire(1, 2, 5, 400, mode="CW")
    b.acquire(3, 4, 6, 200, mode="CW")
    used(h, r, b, 50, 6, name="b")
    used(h, r, a, 60, 5)


@wrong("ME-T", wrongly_refused=1)
def who_does_not_compare_refuses(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 400)
    used(h, Resource(h, checks=False), a, 50, 5, "refused")


# ---- USE ----

@wrong("USE")
def a_token_of_somebody_else(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    used(h, Resource(h), b, 50, 5, name="b")


@wrong("USE")
def a_token_of_another_lock(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100, "l")
    used(h, Resource(h), a, 50, 5)


@wrong("USE")
def a_token_before_it_is_granted(h):
    a = Client(h, "a")
    used(h, Resource(h), a, 50, 5)
    a.acquire(60, 70, 5, 100)


@wrong("USE")
def a_release_of_what_was_not_granted(h):
    Client(h, "a").release(1, 2, 5, result="error")


@wrong("USE")
def applied_and_answered_refused(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    Resource(h).decide(51, "a", a.use(50, 52, 5, "refused"), 5)


@wrong("USE")
def answered_and_not_decided(h):
    a = Client(h, "a")
    Resource(h)
    a.acquire(1, 2, 5, 100)
    a.use(50, 52, 5)


@wrong("USE")
def answered_by_a_resource_that_tells_nothing_at_all(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.use(50, 52, 5, "refused")


@right(applied=1)
def decided_and_the_answer_was_lost(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    Resource(h).decide(56, "a", a.use(50, 52, 5, "timeout"), 5)
    a.use(60, None, 5)


def used_as(decided=55, times=1, **changed):
    """An operation that is decided otherwise than it was asked for."""
    def tell(h):
        a, r = Client(h, "a"), Resource(h)
        a.acquire(1, 2, 5, 100)
        a.acquire(1, 2, 6, 100, "l")
        op = a.use(50, 60, 5)
        for _ in range(times):
            r.decide(decided, **{"client": "a", "op": op, "token": 5, **changed})
    return tell


for what, change, count in (
        ("decided_before_it_was_asked_for", {"decided": 49}, 1), ("decided_after_the_answer", {"decided": 61}, 1),
        ("decided_twice", {"times": 2}, 1), ("decided_as_a_read", {"call": "read"}, 1), ("decided_under_another_lock",
        {"lock": "l"}, 1), ("decided_under_another_token", {"token": 6}, 1), ("decided_for_an_operation_that_is_none",
        {"op": 77}, 2), ("decided_for_somebody_unknown", {"client": "z"}, 2)):
    case = used_as(**change)
    case.__name__ = what
    wrong("USE", count)(case)


@wrong("USE")
def decided_by_another_resource(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    Resource(h, name="s").decide(51, "a", a.use(50, 52, 5, resource="r"), 5)


# ---- LIN ----

@wrong("LIN")
def the_smaller_token_has_its_turn_after_the_greater_one(h):
    a, b = two(h)
    a.acquire(1, 2, 6, 100)
    a.release(50, 55, 6)
    b.acquire(1, 60, 5, 100)


@wrong("LIN")
def the_smaller_token_has_its_turn_right_after_the_greater_one(h):
    a, b = two(h)
    a.acquire(1, 2, 6, 100)
    a.release(50, 55, 6)
    b.acquire(1, 50, 5, 100)


@wrong("LIN")
def the_last_of_those_who_share_counts(h):
    a, b, c = *two(h), Client(h, "c")
    Faults(h).fault(20, 200, "pause_client", client="c")
    a.acquire(1, 10, 5, 110, mode="PR")
    b.acquire(1, 10, 6, 120, mode="PR")
    c.acquire(1, 115, 7, 30)


@right()
def the_greater_token_has_its_turn_after_the_smaller_one(h):
    a, b = two(h)
    a.acquire(1, 2, 5, 100)
    a.release(50, 55, 5)
    b.acquire(1, 60, 6, 100)


@right()
def shared_locks_have_no_order(h):
    a, b = two(h)
    a.acquire(1, 2, 6, 100, mode="PR")
    a.release(50, 55, 6)
    b.acquire(1, 60, 5, 100, mode="PR")


@wrong("LIN")
def told_too_early_though_never_believed(h):
    a, b = two(h)
    Faults(h).fault(5, 60, "pause_client", client="b")
    a.acquire(1, 2, 5, 100)
    b.acquire(3, 70, 6, 65)


def waits_in_line(third):
    def tell(h):
        a, b, c = *two(h), Client(h, "c")
        a.acquire(1, 2, 5, 100, mode="PW")
        b.acquire(3, 101, 6, 200, mode="PW")
        c.acquire(3, third, 7, 200, mode="CR")
    tell.__name__ = f"third_in_line_told_at_{third}"
    return tell


# CR goes together with both, but its token is greater than the second one's, who had to wait for the first.
wrong("LIN")(waits_in_line(100 - NS))
right()(waits_in_line(100))


# ---- NPG ----

@wrong("NPG")
def an_operation_returns_twice(h):
    a = Client(h, "a")
    op = a.refused(1, 2, "timeout")
    a.tell(3, "return", op=op, result="ok", token=5, until=100)


@wrong("NPG")
def an_operation_returns_that_was_not_asked_for(h):
    Client(h, "a").tell(3, "return", op=1, result="timeout")


@wrong("NPG")
def an_operation_returns_before_it_is_asked_for(h):
    a = Client(h, "a")
    a.tell(3, "return", op=1, result="timeout")
    a.refused(4, None, "")


@wrong("NPG")
def the_dead_speak(h):
    Faults(h).kill(50, "a")
    Client(h, "a").refused(1, 50 + NS, "timeout")


@right(timeouts=1)
def who_dies_may_have_spoken_at_that_instant(h):
    Faults(h).kill(50, "a")
    Client(h, "a").refused(1, 50, "timeout")


@wrong("NPG")
def belief_in_what_was_never_granted(h):
    Client(h, "a").valid(3, 5, 100)


@wrong("NPG")
def loss_of_what_was_never_granted(h):
    Client(h, "a").lost(3, 5)


# ---- NLR ----

@wrong("NLR")
def what_was_released_is_valid(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.release(10, 20, 5)
    a.valid(21, 5, 100)


@right()
def what_was_released_is_not_held(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.release(10, 20, 5)
    a.valid(21, 5, 0)
    a.valid(30, 5, 30)
    a.release(40, 50, 5)


@right(extended=0)
def what_is_being_released_may_be_valid_still(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 100)
    a.release(10, 20, 5, result="timeout")
    a.valid(15, 5, 100)
    a.valid(25, 5, 110)
    Client(h, "b").acquire(3, 10, 6, 200)


# ---- NLW, END ----

def ending(*, finish=90, ended=True, killed=None, question="acquire"):
    def tell(h):
        faults, a = Faults(h), Client(h, "a")
        a.acquire(1, 2, 5, 10)
        {"acquire": lambda: a.refused(50, None, ""), "release": lambda: a.release(50, None, 5),
         "write": lambda: a.use(50, None, 5), "none": lambda: None}[question]()
        if finish is not None:
            faults.finish(finish)
        if killed is not None:
            faults.kill(killed, "a")
        if ended:
            a.end(95)
    tell.__name__ = f"ending(finish={finish}, ended={ended}, killed={killed}, question={question})"
    return tell


wrong("NLW", unserved=1)(ending())
wrong("NLW", unserved=1)(ending(question="release"))
right()(ending(question="write"))
right(unserved=0)(ending(finish=None))
right(vanished=1)(ending(finish=None, ended=False, question="none"))
right(killed=1)(ending(ended=False, killed=80))
right(killed=1)(ending(ended=False, killed=90))
wrong("END", vanished=1)(ending(ended=False, question="none"))
wrong("END", vanished=0)(ending(ended=False, killed=99, question="none"))


# ---- NFE; it takes 10 s for a fault to be forgotten ----

def losing(at, how="lost", faults=()):
    def tell(h):
        a = Client(h, "a")
        if how == "acquire":
            a.refused(1, at, "lost")
        else:
            a.acquire(1, 2, 5, 50_000)
            a.lost(at, 5) if how == "lost" else a.valid(at, 5, 0)
        teller = Faults(h) if faults else None
        for begin, end, *kind in faults:
            teller.fault(begin, end, *kind, **({"client": "x"} if kind else {}))
    tell.__name__ = f"losing({at}, {how}, {faults})"
    return tell


for way in ("lost", "valid", "acquire"):
    wrong("NFE", lost=1, lost_without_fault=1)(losing(30_000, way))
    right(lost=1, quiet_ms=20_000)(losing(30_000, way, [(20_000, 40_000)]))
    right(lost=1)(losing(30_000, way, [(10_000, 20_001)]))
    wrong("NFE", lost=1)(losing(30_000, way, [(10_000, 20_000)]))
    wrong("NFE", lost=1)(losing(30_000, way, [(30_001, 40_000)]))
right(lost=1, quiet_ms=10)(losing(30_000, "lost", [(10, None, "moon_phase")]))
wrong("NFE", lost=1)(losing(30_000, "lost", [(10_000, None, "kill_client")]))
right(lost=1)(losing(30_000, "lost", [(1_000, 2_000), (9_000, 25_000), (10_000, 11_000)]))


@right(lost=0)
def what_was_given_back_is_not_lost(h):
    a = Client(h, "a")
    a.acquire(1, 2, 5, 50_000)
    a.release(10_000, 10_001, 5, result="error")
    a.valid(20_000, 5, 0)


# ---- Counted ----

def waiting_in_vain(first, *, held=False):
    def tell(h):
        a, b = two(h)
        Faults(h).fault(10, 20)
        a.acquire(1, 2, 5, 50)
        a.release(5, 6, 5)
        b.refused(first, 40_000, "timeout")
        if held:
            Client(h, "c").acquire(7, 11, 6, 41_000)
    tell.__name__ = f"waiting_in_vain({first}, {held})"
    return tell


right(stuck_locks=1, timeouts=1)(waiting_in_vain(10_020))
right(stuck_locks=0, timeouts=1)(waiting_in_vain(10_019))
right(stuck_locks=0, timeouts=1)(waiting_in_vain(10_020, held=True))


@right(lines=5, operations=1)
def lines_that_were_cut(h):
    Client(h, "a")
    Client(h, "b").refused(1, 2, "busy")
    h.files["c"], h.cut["c"] = [], '{"at":3,"cli'
    h.cut["a"] = '{"at":3000000,"client":"a","event":"beg'
    h.cut["b"] = '{"at":3000000,"client":"b","event":"end"}'  # Only the end of the line is missing.


# ---- What is no history ----

BEGIN = '{"at":1,"client":"a","event":"begin"}\n'
RESOURCE = '{"at":1,"resource":"r","event":"begin","checks":true,"order":%d}\n'
ACQUIRE = '{"at":2,"client":"a","event":"invoke","op":1,"call":"acquire","lock":"k","mode":"EX"}\n'
FAULT = '{"at":5,"event":"fault","kind":"load","id":1}\n'

MALFORMED = [
    ("nothing to judge", {}),
    ("nothing to judge", {"r": RESOURCE % 1}),
    ("a.jsonl:2: is no JSON", {"a": BEGIN + '{"at":\n'}),
    ("a.jsonl:2: is no JSON", {"a": BEGIN + "\n"}),
    ("a.jsonl:2: is no JSON", {"a": BEGIN + "[" * 100_000 + "\n"}),
    ("a.jsonl:2: is no JSON object", {"a": BEGIN + "7\n"}),
    ("a.jsonl:1: is no JSON", {"a": '{"at":\n' + BEGIN}),
    ("a.jsonl:1: the first line is neither", {"a": '{"at":1,"client":"a","event":"end"}\n'}),
    ("a.jsonl:1: `client` is not a name", {"a": '{"at":1,"client":3,"event":"begin"}\n'}),
    ("a.jsonl:1: `at` is not a time", {"a": '{"client":"a","event":"begin"}\n'}),
    ("a.jsonl:2: `at` is not a time", {"a": BEGIN + '{"at":2.5,"client":"a","event":"end"}\n'}),
    ("a.jsonl:2: `at` is 1 ns before", {"a": BEGIN + '{"at":0,"client":"a","event":"end"}\n'}),
    ("a.jsonl:2: `begin` is the first line", {"a": BEGIN + BEGIN}),
    ("a.jsonl:2: is not a line of client a", {"a": BEGIN + '{"at":2,"client":"b","event":"end"}\n'}),
    ("a.jsonl:3: follows the end", {"a": BEGIN + '{"at":2,"client":"a","event":"end"}\n' * 2}),
    ("a.jsonl:2: `event` is 'sleep'", {"a": BEGIN + '{"at":2,"client":"a","event":"sleep"}\n'}),
    ("a.jsonl:2: `event` is 'acquire'", {"a": BEGIN + ACQUIRE.replace("invoke", "acquire")}),
    ("a.jsonl:2: `event` is 'fault'", {"a": BEGIN + '{"at":2,"client":"a","event":"fault","kind":"load","id":1}\n'}),
    ("a.jsonl:2: `event` is ['end']", {"a": BEGIN + '{"at":2,"client":"a","event":["end"]}\n'}),
    ("a.jsonl:2: `call` is 'get'", {"a": BEGIN + ACQUIRE.replace("acquire", "get")}),
    ("a.jsonl:2: `mode` can not be 'XX'", {"a": BEGIN + ACQUIRE.replace("EX", "XX")}),
    ("a.jsonl:2: there is no `mode`", {"a": BEGIN + ACQUIRE.replace("mode", "node")}),
    ("a.jsonl:2: `op` can not be True", {"a": BEGIN + ACQUIRE.replace('"op":1', '"op":true')}),
    ("a.jsonl:3: there was an operation 1", {"a": BEGIN + ACQUIRE * 2}),
    ("a.jsonl:3: `result` can not be 'OK'", {
        "a": BEGIN + ACQUIRE + '{"at":3,"client":"a","event":"return","op":1,"result":"OK"}\n'}),
    ("a.jsonl:3: what is granted has a `token`", {
        "a": BEGIN + ACQUIRE + '{"at":3,"client":"a","event":"return","op":1,"result":"ok","until":9}\n'}),
    ("a.jsonl:3: what is granted has a `token`", {
        "a": BEGIN + ACQUIRE + '{"at":3,"client":"a","event":"return","op":1,"result":"ok","token":0,"until":9}\n'}),
    ("a.jsonl:2: `token` can not be 0", {
        "a": BEGIN + '{"at":2,"client":"a","event":"lost","lock":"k","token":0}\n'}),
    ("b.jsonl:1: there is a client a in a.jsonl", {"a": BEGIN, "b": BEGIN}),
    ("r.jsonl:1: `checks` can not be 1", {"a": BEGIN, "r": (RESOURCE % 1).replace("true", "1")}),
    ("s.jsonl:1: r.jsonl has a life", {"a": BEGIN, "r": RESOURCE % 1, "s": RESOURCE % 1}),
    ("s.jsonl:1: begins before the life", {"a": BEGIN, "r": RESOURCE % 1 + '{"at":9,"resource":"r","event":"refused",'
                                           '"call":"read","lock":"k","token":1,"client":"a","op":1}\n',
                                           "s": RESOURCE % 2}),
    ("r.jsonl:2: `call` can not be 'acquire'", {
        "a": BEGIN, "r": RESOURCE % 1 + '{"at":9,"resource":"r","event":"refused","call":"acquire"}\n'}),
    ("f.jsonl:2: there was a fault 1", {"a": BEGIN, "f": FAULT * 2}),
    ("f.jsonl:2: no fault 2", {"a": BEGIN, "f": FAULT + '{"at":5,"event":"heal","id":2}\n'}),
    ("f.jsonl:1: `from` can not be 6", {"a": BEGIN, "f": FAULT.replace("}", ',"from":6}')}),
    ("f.jsonl:1: there is no `client`", {"a": BEGIN, "f": FAULT.replace("load", "kill_client")}),
    ("f.jsonl:1: `kind` can not be 'a b'", {"a": BEGIN, "f": FAULT.replace("load", "a b")}),
    ("f.jsonl:2: there is a second finish", {"a": BEGIN, "f": '{"at":5,"event":"finish"}\n' * 2}),
    ("g.jsonl: f.jsonl has faults", {"a": BEGIN, "f": FAULT, "g": FAULT}),
]


def written(tell, folder):
    history = History()
    tell(history)
    history.write(folder)


def called(*arguments):
    """The judge as a program: its exit code, and what it says."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = lock_judge.main(list(arguments))
        except SystemExit as end:
            code = end.code
    return code, output.getvalue(), errors.getvalue()


def judged(tell, expected, counters):
    """What is not as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        written(tell, folder)
        try:
            verdict = lock_judge.judge(folder)
        except Exception:  # pylint: disable=broad-except
            return traceback.format_exc()
    troubles = [f"{name}={verdict.counters[name]} instead of {value}" for name, value in counters.items()
                if verdict.counters[name] != value]
    if verdict.found != expected or troubles or verdict.ok != (expected == {}):
        return f"found {verdict.found}, {troubles}: {[str(violation) for violation in verdict.violations]}"
    return None


def canary():
    """As anybody calls it. If this is not found, nothing that was not found means anything."""
    with tempfile.TemporaryDirectory() as folder:
        written(two_believe_for_an_instant, folder)
        run = subprocess.run([sys.executable, lock_judge.__file__, folder], capture_output=True, text=True, check=False)
        assert run.returncode == 1 and run.stdout.startswith("ME: lock k: token 5 (a, EX)"), run
        assert run.stdout.splitlines()[-1].startswith("RESULT ") and " violations=1 " in run.stdout, run


def as_program():
    """Exit codes, the lines that are printed, the report."""
    with tempfile.TemporaryDirectory() as folder:
        written(one_believes_when_the_other_has_just_ended, folder)
        code, output, _ = called(folder)
        assert code == 0 and output.count("\n") == 1 and output.startswith(
            "RESULT operations=2 granted=2 taken_over=1 released=0 refused=0 lost=0 belief_overlaps=0 stale_accepted=0 "
            "token_regressions=0 unserved=0 lost_without_fault=0 late_writes=0 violations=0 "), output
    with tempfile.TemporaryDirectory() as folder:
        written(two_believe_for_an_instant, folder)
        report = os.path.join(folder, "report")
        code, output, _ = called(folder, "--json", report)
        assert code == 1 and output.splitlines()[0] == (
            "ME: lock k: token 5 (a, EX) from 2.000 ms to 100.000 ms (deadline), and token 6 (b, EX) from 100.000 ms "
            "to 200.000 ms (deadline): both believe for 0.000001 ms [a.jsonl:3, b.jsonl:3]"), output
        with open(report, encoding="utf-8") as file:
            told = json.load(file)
        assert told["counters"]["violations"] == 1 and told["violations"][0]["tokens"] == [5, 6], told
        assert told["beliefs"]["k"][0] == {"start": 2 * MS, "end": 100 * MS, "cause": "deadline", "client": "a",
                                           "token": 5, "mode": "EX"}, told
    with tempfile.TemporaryDirectory() as folder:
        written(losing(30_000), folder)
        code, output, _ = called(folder)
        assert code == 1 and " lost_without_fault=1 " in output and " violations=0 " in output, output
        code, output, _ = called(folder, "--settle", "0")
        assert code == 1, output
    with tempfile.TemporaryDirectory() as folder:
        written(losing(30_000, "lost", [(10_000, 20_000)]), folder)
        assert called(folder, "--settle", "10")[0] == 1 and called(folder, "--settle", "10.1")[0] == 0
    with tempfile.TemporaryDirectory() as folder:
        many = History()
        for number in range(12):
            Client(many, f"c{number}").acquire(1, 2, 5 + number, 100)
        many.write(folder)
        code, output, _ = called(folder)
        assert code == 1 and output.count("ME: lock") == 50 and "ME: and 16 more\n" in output, output
        assert " belief_overlaps=66 " in output and " violations=66 " in output, output
        for usage in ((), (folder, "--settle", "-1"), (folder, "--settle", "soon"), (folder + "/none",),
                      (folder, folder), (folder, "--json", folder)):
            code, output, errors = called(*usage)
            assert code == 2 and errors and not output, (usage, code, output)


def malformed(words, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
                file.write(text)
        code, output, errors = called(folder)
    return None if code == 2 and not output and words in errors else f"exit code {code}, {output}{errors}"


def main():
    failures = 0
    cases = [(tell, {}, counters) for tell, counters in RIGHT]
    cases += [(tell, {name: count}, counters) for tell, name, count, counters in WRONG]
    for tell, expected, counters in cases:
        trouble = judged(tell, expected, counters)
        if trouble:
            failures += 1
            print(f"FAILED {tell.__name__}: expected {expected}: {trouble}")
    for words, files in MALFORMED:
        trouble = malformed(words, files)
        if trouble:
            failures += 1
            print(f"FAILED {words}: {files}: {trouble}")
    canary()
    as_program()
    names = {name for _, name, _, _ in WRONG}
    missing = set(lock_judge.PROPERTIES) - names
    print(f"{len(RIGHT)} lawful histories, {len(WRONG)} wrong ones of {len(names)} properties, {len(MALFORMED)} that "
          f"are none; {failures} failures; without a history: {sorted(missing)}")
    sys.exit(1 if failures or missing else 0)


main()
