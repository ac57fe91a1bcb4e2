"""What a process of a drill did and saw, a JSON object a line; the form is docs/histories.md."""

import json
import os
import time


def now():
    """The clock of all histories of this machine, in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Recorder:
    """A file of its own for each process. Each line leaves at once, so a killed process leaves all but its last."""

    def __init__(self, folder, name):
        path = os.path.join(folder, f"{name}.jsonl")
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, at=None, **what):
        line = json.dumps({"at": now() if at is None else at, **what}, separators=(",", ":")) + "\n"
        os.write(self.file, line.encode())
