"""Ringlock's locks for the workers of a drill, through liblock's C interface."""

import ctypes
import os

import history
from refused import Refused

ERRORS = {-2: "timeout", -4: "not_quorate", -5: "gone", -6: "gone", -7: "lost"}
MODES = {"NL": 0, "CR": 1, "CW": 2, "PR": 3, "PW": 4, "EX": 5}


class Grant(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("token", ctypes.c_uint64)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("socket_path", ctypes.c_char_p), ("command", ctypes.c_char_p),
                ("answer_timeout_ms", ctypes.c_int), ("query_only", ctypes.c_int), ("quorum_now", ctypes.c_int)]


LOST_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Grant), ctypes.c_void_p)


def load(build):
    library = ctypes.CDLL(os.path.join(build, "liblock", "liblock.so"))
    library.lock_strerror.restype = ctypes.c_char_p
    library.lock_valid_for_ns.restype = ctypes.c_uint64
    library.lock_connect.argtypes = [ctypes.POINTER(Options), ctypes.POINTER(ctypes.c_void_p)]
    library.lock_acquire.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int,
                                     ctypes.c_int, ctypes.POINTER(Grant)]
    for call in (library.lock_release, library.lock_valid_for_ns):
        call.argtypes = [ctypes.c_void_p, ctypes.POINTER(Grant)]
    library.lock_on_lost.argtypes = [ctypes.c_void_p, LOST_FN, ctypes.c_void_p]
    library.lock_dispatch.argtypes = [ctypes.c_void_p]
    library.lock_close.argtypes = [ctypes.c_void_p]
    return library


class Locks:
    """One client of one daemon."""

    def __init__(self, build, address, answer_timeout_ms=2000):
        self.library = load(build)
        self.options = Options(ctypes.sizeof(Options), address.encode(), b"drill", answer_timeout_ms, 0, 0)
        self.client = None
        self.lost = set()  # Tokens whose loss was told.
        self.on_lost = LOST_FN(self.note_loss)  # Kept alive as long as the client.

    def note_loss(self, _client, grant, _arg):
        if grant:
            self.lost.add(grant.contents.token)

    def connect(self):
        """Whether there is a client now."""
        if self.client is None:
            client = ctypes.c_void_p()
            if self.library.lock_connect(ctypes.byref(self.options), ctypes.byref(client)) != 0:
                return False
            self.client = client
            self.library.lock_on_lost(client, self.on_lost, None)
        return True

    def acquire(self, name, mode, seconds):
        grant = Grant()
        error = self.library.lock_acquire(self.client, None, name.encode(), len(name), MODES[mode],
                                          int(seconds * 1000), ctypes.byref(grant))
        if error != 0:
            raise Refused(ERRORS.get(error, "error"))
        return grant

    def until(self, grant):
        """The instant until which the lock may be relied on, 0 if it is not held. Keeps the lease alive."""
        self.library.lock_dispatch(self.client)
        before = history.now()
        valid = self.library.lock_valid_for_ns(self.client, ctypes.byref(grant))
        return before + valid if valid > 0 and grant.token not in self.lost else 0

    def release(self, grant):
        error = self.library.lock_release(self.client, ctypes.byref(grant))
        return "ok" if error == 0 else ERRORS.get(error, "error")

    def close(self):
        if self.client is not None:
            self.library.lock_close(self.client)
        self.client = None
