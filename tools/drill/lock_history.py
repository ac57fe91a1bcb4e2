"""Reads histories of locks, file by file and line by line, and refuses what does not have the form that is written in
docs/histories.md. What a history means is the judge's business (lock_judge.py)."""

import json
import os
import re

MODES = ("NL", "CR", "CW", "PR", "PW", "EX")
RESULTS = ("ok", "timeout", "lost", "busy", "not_quorate", "gone", "cancelled", "error")  # Of an acquire.


class Malformed(Exception):
    """A history that can not be read; the text says which file and line, and why."""


def _integer(value):
    return type(value) is int and value >= 0


def _positive(value):
    return type(value) is int and value > 0


def _text(value):
    return type(value) is str and value != ""


def _flag(value):
    return type(value) is bool


def _use(value):
    return value in ("write", "read")


def _word(value):
    return type(value) is str and re.fullmatch(r"[\w-]+", value) is not None


def _identity(value):
    return type(value) is int or _text(value)


# What a line has to have beside `at` and `event`, by who writes it, and by its event or call.
CLIENT = {
    "begin": (),
    "end": (),
    "return": (("op", _integer), ("result", _text)),
    "valid": (("lock", _text), ("token", _positive), ("until", _integer)),
    "lost": (("lock", _text), ("token", _positive)),
    "acquire": (("op", _integer), ("lock", _text), ("mode", MODES.__contains__)),
    "release": (("op", _integer), ("lock", _text), ("token", _positive)),
    "write": (("op", _integer), ("resource", _text), ("lock", _text), ("token", _positive)),
    "read": (("op", _integer), ("resource", _text), ("lock", _text), ("token", _positive)),
}
CALLS = ("acquire", "release", "write", "read")
_DECISION = (("call", _use), ("lock", _text), ("token", _positive), ("client", _text), ("op", _integer))
RESOURCE = {
    "begin": (("checks", _flag), ("order", _integer)),
    "applied": _DECISION,
    "refused": _DECISION,
}
FAULTS = {
    "fault": (("kind", _word), ("id", _identity)),
    "heal": (("id", _identity),),
    "finish": (),
}


class File:
    """One file of a history: who wrote it, and its lines."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        self.kind, self.writer, self.first = None, None, None
        for _, row in self._rows():
            self.first = row
            self._identify(row)
            break

    def wrong(self, line, text):
        return Malformed(f"{self.path}:{line}: {text}")

    def _identify(self, row):
        event = row.get("event")
        if not _integer(row.get("at")):
            raise self.wrong(1, "`at` is not a time")
        if event in FAULTS:
            self.kind, self.form = "faults", FAULTS
        elif event == "begin" and "resource" in row:
            self.kind, self.form = "resource", RESOURCE
        elif event == "begin" and "client" in row:
            self.kind, self.form = "client", CLIENT
        else:
            raise self.wrong(1, "the first line is neither the begin of a client or a resource, nor of faults")
        if self.kind != "faults":
            self.writer = row[self.kind]
            if not _text(self.writer):
                raise self.wrong(1, f"`{self.kind}` is not a name")
            self._check(1, row, self.form["begin"])

    def _check(self, line, row, needed):
        for key, fits in needed:
            if key not in row:
                raise self.wrong(line, f"there is no `{key}`")
            if not fits(row[key]):
                raise self.wrong(line, f"`{key}` can not be {row[key]!r}")

    def _rows(self):
        """Each line as an object. A last line that was cut is none."""
        decode = json.JSONDecoder().decode
        number = 0
        with open(self.path, "rb") as file:
            for raw in file:
                number += 1
                try:
                    row = decode(raw.decode("utf-8"))
                except (ValueError, RecursionError):
                    if not raw.endswith(b"\n"):
                        return
                    raise self.wrong(number, f"is no JSON: {raw[:80]!r}") from None
                if type(row) is not dict:
                    raise self.wrong(number, "is no JSON object")
                yield number, row

    def lines(self):
        """(number, line) of each line, all of which have the form."""
        last = 0
        ended = False
        kind, writer, form = self.kind, self.writer, self.form
        for number, row in self._rows():
            at, event = row.get("at"), row.get("event")
            if type(at) is not int or at < 0:
                raise self.wrong(number, "`at` is not a time")
            if at < last:
                raise self.wrong(number, f"`at` is {last - at} ns before the line above")
            last = at
            if ended:
                raise self.wrong(number, "follows the end of its client")
            if writer is not None:
                if row.get(kind) != writer:
                    raise self.wrong(number, f"is not a line of {kind} {writer}")
                if (event == "begin") != (number == 1):
                    raise self.wrong(number, "`begin` is the first line, and only that")
                ended = event == "end"
                if event == "invoke" and kind == "client":
                    event = row.get("call")
                    if event not in CALLS:
                        raise self.wrong(number, f"`call` is {event!r}")
                elif event in CALLS:
                    raise self.wrong(number, f"`event` is {event!r}")
            try:
                needed = form[event]
            except (KeyError, TypeError):
                raise self.wrong(number, f"`event` is {event!r}") from None
            self._check(number, row, needed)
            yield number, row


def files(folder):
    """The files of a history; those without any whole line, whose writers died at once, are left out."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except OSError as trouble:
        raise Malformed(f"{folder}: {trouble.strerror}") from None
    found = []
    for name in names:
        try:
            file = File(os.path.join(folder, name))
        except OSError as trouble:
            raise Malformed(f"{os.path.join(folder, name)}: {trouble.strerror}") from None
        if file.kind is not None:
            found.append(file)
    if not any(file.kind == "client" for file in found):
        raise Malformed(f"{folder}: no file *.jsonl has a client, so there is nothing to judge")
    return found
