"""What the clients of all systems say of a lock that they did not get."""


class Refused(Exception):
    """Not granted; its text is the result for the history (docs/histories.md)."""
