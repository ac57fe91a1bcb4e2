"""Programs that send and receive at each daemon of a cluster, led through a measurement. For tools/evsbench, and for
tests/bench/evs_vs_corosync, which leads those of another system the same way."""

import subprocess
import time


class Failure(Exception):
    """A measurement that could not be made."""


class Figures:
    """What one run gave. Of several receivers, the one that received least counts."""

    def __init__(self, size, answers):
        self.size = size
        self.messages_per_second = min(messages / seconds for messages, _, seconds, *_ in answers)
        senders = [answer for answer in answers if answer[1] > 0]
        self.p50, self.p99, self.p999, self.maximum = (
            max((answer[at] for answer in senders), default=0) / 1e6 for at in (3, 4, 5, 6))

    @property
    def megabytes_per_second(self):
        return self.messages_per_second * self.size / 1e6


class Crew:
    """`commands` start the programs, one at each daemon; see tools/evs_load/main.cc for what they understand. What
    they complain of goes to the file `complaints`."""

    def __init__(self, commands, complaints):
        self.complaints = complaints
        with open(complaints, "w", encoding="utf-8") as file:
            self.members = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
                                             text=True) for command in commands]
        try:
            for member in self.members:
                self.hear(member, "ready")
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for member in self.members:
            member.kill()
            member.wait()
            member.stdin.close()
            member.stdout.close()

    def tell(self, member, line):
        try:
            member.stdin.write(line + "\n")
            member.stdin.flush()
        except BrokenPipeError:
            raise self.failure() from None

    def hear(self, member, word):
        words = member.stdout.readline().split()
        if not words or words[0] != word:
            raise self.failure()
        return words[1:]

    def failure(self):
        with open(self.complaints, encoding="utf-8") as file:
            return Failure("a program of the load has ended: " + (file.read().strip() or "without a word"))

    def wait_for_members(self, count):
        """When the first member has heard of a configuration with so many: by the monotonic clock."""
        self.tell(self.members[0], f"members {count}")
        self.hear(self.members[0], "members")
        return time.monotonic()

    def run(self, size, safe, senders, seconds, window=0, pause_us=0, warm_up=0.3):
        """The first `senders` members send; all count what they receive."""
        for index, member in enumerate(self.members):
            self.tell(member, f"run {size} {int(safe)} {int(index < senders)} {window} {pause_us} "
                              f"{int(warm_up * 1000)} {int(seconds * 1000)}")
        answers = [[float(word) for word in self.hear(member, "result")] for member in self.members]
        for member in self.members:
            self.tell(member, "fence")
        for member in self.members:
            self.hear(member, "fenced")
        return Figures(size, answers)
