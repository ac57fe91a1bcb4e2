#!/usr/bin/env python3
"""The judge of traces (evs_judge.py) is judged: histories made by hand, right ones in which it finds nothing, and for
each property wrong ones, each a right one with a change that breaks it."""

import sys
import traceback

import evs_judge

# Three nodes form a ring from being alone; 3 is killed in it, and takes its last message (4) along, so that there is a
# gap; 1 and 2 go on, and both run when the traces end.
HISTORY = {
    "1": """\
begin 1 whole 1:a
regular 2.1:a 1:a -
give 1 agreed 1 1
deliver 2.1:a 1 0 1:a agreed 1 1
transitional 3.1:a 1:a -
regular 4.1:r 1:a,2:b,3:c 2:b,3:c
give 2 safe 1 2
give 3 agreed 1 3
deliver 4.1:r 1 0 1:a safe 1 2
deliver 4.1:r 2 0 2:b fifo 1 11
transitional 7.1:t 1:a,2:b 3:c
deliver 4.1:r 3 0 1:a agreed 1 3
deliver 4.1:r 5 0 2:b safe 1 12
regular 8.1:s 1:a,2:b -
give 4 safe 1 4
deliver 8.1:s 1 0 2:b unordered 1 13
deliver 8.1:s 1 1 1:a safe 1 4
""",
    "2": """\
begin 1 whole 2:b
regular 2.2:b 2:b -
transitional 3.2:b 2:b -
regular 4.1:r 1:a,2:b,3:c 1:a,3:c
deliver 4.1:r 1 0 1:a safe 1 2
give 1 fifo 1 11
deliver 4.1:r 2 0 2:b fifo 1 11
give 2 safe 1 12
transitional 7.1:t 1:a,2:b 3:c
give 3 unordered 1 13
deliver 4.1:r 3 0 1:a agreed 1 3
deliver 4.1:r 5 0 2:b safe 1 12
regular 8.1:s 1:a,2:b -
deliver 8.1:s 1 0 2:b unordered 1 13
deliver 8.1:s 1 1 1:a safe 1 4
""",
    "3": """\
begin 1 whole 3:c
regular 2.3:c 3:c -
transitional 3.3:c 3:c -
regular 4.1:r 1:a,2:b,3:c 1:a,2:b
deliver 4.1:r 1 0 1:a safe 1 2
deliver 4.1:r 2 0 2:b fifo 1 11
deliver 4.1:r 3 0 1:a agreed 1 3
give 1 agreed 1 21
deliver 4.1:r 4 0 3:c agreed 1 21
""",
}


def history(*changes):
    """The history above, with lines of nodes replaced: (node, line, what stands there instead)."""
    files = dict(HISTORY)
    for name, old, new in changes:
        text = files.get(name, "")
        assert old == "" or text.count(old + "\n") == 1, (name, old)
        files[name] = text.replace(old + "\n", new) if old else text + new
    return files


def without(name, *lines):
    return tuple((name, line, "") for line in lines)


def exchanged(name, first, second):
    return ((name, first, "@\n"), (name, second, first + "\n"), (name, "@", second + "\n"))


A1 = "deliver 4.1:r 1 0 1:a safe 1 2"
A3 = "deliver 4.1:r 3 0 1:a agreed 1 3"
B2 = "deliver 4.1:r 2 0 2:b fifo 1 11"
B5 = "deliver 4.1:r 5 0 2:b safe 1 12"
C4 = "deliver 4.1:r 4 0 3:c agreed 1 21"
T = "transitional 7.1:t 1:a,2:b 3:c"
S = "regular 8.1:s 1:a,2:b -"
LAST = "deliver 8.1:s 1 1 1:a safe 1 4"

# Node 3 was never in the ring of three, and lives on alone.
ELSEWHERE = (("3", "transitional 3.3:c 3:c -", "transitional 5.3:c 3:c -\nregular 6.3:c 3:c -\n"),
             *without("3", "regular 4.1:r 1:a,2:b,3:c 1:a,2:b", A1, B2, A3, "give 1 agreed 1 21", C4))

RIGHT = {
    "nothing is wrong": (),
    "who is killed need not have delivered all": without("3", A1, B2, A3, "give 1 agreed 1 21", C4),
    "nor have told its last install": without("3", "regular 4.1:r 1:a,2:b,3:c 1:a,2:b", A1, B2, A3,
                                              "give 1 agreed 1 21", C4),
    "others deliver the last words of who is killed": (
        *without("3", C4), ("1", A3, A3 + "\n" + C4 + "\n"), ("2", A3, A3 + "\n" + C4 + "\n")),
    "a line cut off by death": (("3", "", "deliver 4.1:r 6 0 3"),),
    "a line cut off by death, and a next life": (
        ("3", "", "give 2 sa ~\nbegin 1 whole 3:d\nregular 2.3:d 3:d -\ngive 1 safe 1 1\n"),),
    "leaving is an end like any other": (("3", "", "leave\n"),),
}

# The property that has to be found broken, perhaps with words that have to be told of it.
WRONG = [
    ("S1", "delivered twice", (("2", A1, (A1 + "\n") * 2),)),
    ("S1", "delivered twice, later", (("3", "", A1 + "\n"),)),
    ("S1", "never given", (("1", "give 3 agreed 1 3", ""), ("1", "give 4 safe 1 4", "give 3 safe 1 4\n"))),
    ("S1", "the last one never given", without("3", "give 1 agreed 1 21")),
    ("S1", "with other content", (("2", A3, "deliver 4.1:r 3 0 1:a agreed 1 33\n"),)),
    ("S1", "with another guarantee", (("2", A3, "deliver 4.1:r 3 0 1:a fifo 1 3\n"),)),
    ("S1", "of another length than was given", tuple((n, A3, "deliver 4.1:r 3 0 1:a agreed 2 3\n") for n in "123")),
    ("S1: who never was in 4.1:r", "of one who was never there", tuple((n, A3, A3.replace("1:a", "3:d") + "\n") for n in "123") +
     (("3", "", "begin 1 whole 3:d\nregular 2.3:d 3:d -\n"),)),
    ("S1", "of another sender", (("2", A3, "deliver 4.1:r 3 0 2:b agreed 1 3\n"),)),
    ("S1: who is no member", "of a stranger", tuple((n, B5, "deliver 4.1:r 5 0 3:d safe 1 12\n") for n in "12") +
     (("3", "", "begin 1 whole 3:d\nregular 2.3:d 3:d -\n"),)),
    ("S1", "in a configuration after the next", (("2", B5, ""), ("2", S, S + "\n" + B5 + "\n"))),
    ("S1", "in a configuration before", (("2", B2, ""), ("2", "regular 4.1:r 1:a,2:b,3:c 1:a,3:c",
                                                     B2 + "\nregular 4.1:r 1:a,2:b,3:c 1:a,3:c\n"))),
    ("S1", "before it was given", (("1", "give 2 safe 1 2", ""), ("1", "give 3 agreed 1 3", ""),
                                   ("1", A1, A1 + "\ngive 2 safe 1 2\ngive 3 agreed 1 3\n"))),
    ("S1", "given after the ring was left", (("2", "give 2 safe 1 12", ""), ("2", T, T + "\ngive 2 safe 1 12\n"))),
    ("S1", "given in another order", (("1", "give 2 safe 1 2", "give 2 agreed 1 3\n"),
                                      ("1", "give 3 agreed 1 3", "give 3 safe 1 2\n"))),
    ("S2", "an id with other members", (("2", "regular 2.2:b 2:b -", "regular 2.1:a 2:b -\n"),)),
    ("S2", "an id of both kinds", (("2", "transitional 3.2:b 2:b -", "transitional 2.1:a 2:b -\n"),)),
    ("S2: of which it is no member", "not a member", (("2", "regular 2.2:b 2:b -", "regular 2.2:b 3:c -\n"),)),
    ("S2: with members that are not sorted", "members in disorder", (("2", S, "regular 8.1:s 2:b,1:a -\n"),)),
    ("S2: is not alone", "not alone at first", (("3", "regular 2.3:c 3:c -", "regular 2.3:c 2:b,3:c -\n"),)),
    ("S2", "transitional at first", without("3", "regular 2.3:c 3:c -")),
    ("S2", "a message before any configuration", (("3", "regular 2.3:c 3:c -", A1 + "\nregular 2.3:c 3:c -\n"),)),
    ("S2: of the same kind", "a transitional one is hidden", without("2", T)),
    ("S2", "numbers do not grow", (("3", "regular 2.3:c 3:c -", "regular 5.3:c 3:c -\n"),)),
    ("S2", "departed is not who departed", (("2", T, "transitional 7.1:t 1:a,2:b -\n"),)),
    ("S2", "joined is not who joined", (("1", S, "regular 8.1:s 1:a,2:b 2:b\n"),)),
    ("S2: not of 2.3:c", "somebody goes along who was not there", (("3", "transitional 3.3:c 3:c -", "transitional 3.3:c 2:b,3:c -\n"),)),
    ("S2: who went along", "who goes along is not there afterwards", (("2", S, "regular 8.1:s 2:b -\n"),)),
    ("S2", "who goes together has a transitional one each", (
        ("1", T, "transitional 7.1:t 1:a 2:b,3:c\n"), ("1", S, "regular 8.1:s 1:a,2:b 2:b\n"),
        ("2", T, "transitional 7.2:t 2:b 1:a,3:c\n"), ("2", S, "regular 8.1:s 1:a,2:b 1:a\n"))),
    ("S2", "something after leaving", (("3", C4, "leave\n" + C4 + "\n"),)),
    ("S2", "two lives of the same name", (("3", "", "begin 1 whole 3:c\n"),)),
    ("S3", "sent after the configuration before which it is delivered", (
        ("2", "give 2 safe 1 12", ""), ("2", "give 3 unordered 1 13", ""),
        ("2", S, S + "\ngive 2 safe 1 12\ngive 3 unordered 1 13\n"))),
    ("S4", "one of those together misses the last message", tuple(
        (n, B5, B5.replace("safe", "agreed") + "\n" if n == "2" else "") for n in "12") +
     (("2", "give 2 safe 1 12", "give 2 agreed 1 12\n"),)),
    ("S4", "delivered before by one, after by the other", (
        ("1", A3, ""), ("1", T, A3 + "\n" + T + "\n"))),
    ("S5", "without what its sender had delivered", without("3", A1)),
    ("S5", "without what its sender had sent", (("1", A1, ""), ("1", "give 3 agreed 1 3", "give 3 agreed 1 3\n" + A1 + "\n"),
                                                *without("3", A1))),
    ("S6: after ('4.1:r', 2, 0)", "another order", exchanged("2", A1, B2)),
    ("S6: come before themselves", "another order makes a circle", exchanged("2", A1, B2)),
    ("S6", "another order in a transitional configuration", exchanged("2", A3, B5)),
    ("S6", "another order within a packet", exchanged("2", "deliver 8.1:s 1 0 2:b unordered 1 13", LAST)),
    ("S6", "the transitional one goes below the regular one", (("1", B2, ""), ("1", A3, B2 + "\n" + A3 + "\n"))),
    ("S6", "a hole in a regular configuration", without("3", B2)),
    ("S6", "a hole in a transitional one, of a member", (*without("1", A3), *without("2", A3))),
    ("S7.1", "safe in a transitional configuration, not with all of it", without("1", B5)),
    ("S7.1", "safe in a regular configuration, and one goes on without", without("2", A1)),
    ("S7.1", "safe, and one who runs has it not", without("2", LAST)),
    ("S7.2", "safe before all have installed", ELSEWHERE),
    ("S7.2", "safe, and a member leaves that never installed", (
        *without("3", "transitional 3.3:c 3:c -", "regular 4.1:r 1:a,2:b,3:c 1:a,2:b", A1, B2, A3, "give 1 agreed 1 21", C4),
        ("3", "", "leave\n"))),
    ("L1", "one's own is never delivered", (("2", "", "give 4 agreed 1 14\n"),)),
    ("L1: does not deliver its own", "others deliver what its sender does not", without("2", B5)),
    ("L2: others in", "not in one configuration", (("1", "", "transitional 9.1:z 1:a 2:b\nregular 10.1:z 1:a -\n"),)),
    ("L2: those who run are", "not in a configuration of all", (("1", "", "transitional 9.1:z 1:a 2:b\nregular 10.1:z 1:a -\n"),)),
    ("L2: those who run are", "in a transitional configuration", (("1", "", "transitional 9.1:z 1:a,2:b -\n"),)),
    ("L3", "one who runs misses the last message", (
        ("1", LAST, LAST.replace("safe", "agreed") + "\n"), ("1", "give 4 safe 1 4", "give 4 agreed 1 4\n"), ("2", LAST, ""))),
    ("trace", "a life that could not be written to the end", (("3", "begin 1 whole 3:c", "begin 1 holed 3:c\n"),)),
    ("trace", "another version", (("3", "begin 1 whole 3:c", "begin 2 whole 3:c\n"),)),
    ("trace", "a member of whom there is no trace", (("3", HISTORY["3"].rstrip("\n"), ""),)),
    ("trace", "a message is missing among the given", without("1", "give 2 safe 1 2")),
    ("trace", "a line that is none", (("1", A1, "deliver 4.1:r 1 0 1:a safe 1\n"),)),
    ("trace", "half a line that is not the last one", (("1", A1, "deliver 4.1:r 1\n"),)),
    ("trace", "an unknown guarantee", (("1", A1, "deliver 4.1:r 1 0 1:a quick 1 2\n"),)),
    ("trace", "a node that runs has left", (("1", "", "leave\n"),)),
]


def judged(changes):
    files = {name: text.splitlines(keepends=True) for name, text in history(*changes).items()}
    return evs_judge.judge_lines(files, rest={1, 2})


def main():
    failures = 0
    for name, changes in RIGHT.items():
        violations, _ = judged(changes)
        if violations:
            failures += 1
            print(f"FAILED right: {name}: {violations}")
    for name, what, changes in WRONG:
        try:
            found = [f"{violation[0]}: {violation[1]}" for violation in judged(changes)[0]]
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            found = []
        name, _, words = name.partition(": ")
        if not any(text.startswith(name + ": ") and words in text for text in found):
            failures += 1
            print(f"FAILED {name}: {what}: found {found}")
    violations, counts = judged(())
    properties = {name.partition(":")[0] for name, _, _ in WRONG}
    print(f"{len(RIGHT)} right histories, {len(WRONG)} wrong ones of {len(properties)} properties; {failures} failures")
    assert counts["safe_deliveries_judged"] == 3 and counts["deliveries"] == 17, counts
    sys.exit(1 if failures or violations else 0)


main()
