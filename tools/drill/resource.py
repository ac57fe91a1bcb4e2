#!/usr/bin/env python3
"""The resource of a drill: what the locks protect. Notes who used it in which order; one that checks refuses fencing
tokens that are out of date, by the rule of docs/locks.md, one that does not takes everything.

  resource.py SOCKET FOLDER NAME ORDER checks|trusts

Clients send a JSON object a line, {"call": "write"|"read", "lock": K, "token": X, "client": C, "op": N}, and get
"applied" or "refused". ORDER is the number of this life in the history.
"""

import json
import os
import selectors
import signal
import socket
import sys

from history import Recorder


class Resource:
    def __init__(self, folder, name, order, checks):
        self.recorder = Recorder(folder, f"resource-{name}-{order}")
        self.name = name
        self.checks = checks
        self.highest = {}  # Of each lock: the highest token of any use, and of a write.
        self.recorder.write(resource=name, event="begin", checks=checks, order=order)

    def decide(self, request):
        lock, token, write = request["lock"], request["token"], request["call"] == "write"
        used, written = self.highest.get(lock, (0, 0))
        if self.checks and token < (used if write else written):
            event = "refused"
        else:
            event = "applied"
            self.highest[lock] = (max(used, token), max(written, token) if write else written)
        self.recorder.write(resource=self.name, event=event, call=request["call"], lock=lock, token=token,
                            client=request["client"], op=request["op"])
        return event


def serve(path, resource):
    selector = selectors.DefaultSelector()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(256)
    selector.register(listening, selectors.EVENT_READ, None)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                client, _ = listening.accept()
                selector.register(client, selectors.EVENT_READ, bytearray())
                continue
            try:
                received = key.fileobj.recv(65536)
            except ConnectionError:
                received = b""
            if not received:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                continue
            key.data.extend(received)
            while (end := key.data.find(b"\n")) >= 0:
                request = json.loads(key.data[:end])
                del key.data[:end + 1]
                answer = resource.decide(request)
                try:
                    key.fileobj.sendall(answer.encode() + b"\n")
                except OSError:
                    pass  # The client is dead; what it did is done.


if __name__ == "__main__":
    path, folder, name, order, checks = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    serve(path, Resource(folder, name, int(order), checks == "checks"))
