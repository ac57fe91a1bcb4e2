#!/usr/bin/env python3
"""The fault relay by itself, and a cluster of real daemons behind it that has to stay whole while datagrams get lost.

  relay_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import os
import socket
import struct
import tempfile
import time

import background
import bad_input_harness as h
import relay_harness
from bad_input_harness import check, wait_until

NODES = (1, 2, 3)
LOSSY_SECONDS = float(os.environ.get("RINGLOCK_LOSSY_SECONDS") or 20)  # At each rate of loss.


def arrives(receiver, text):
    receiver.settimeout(h.DEADLINE)
    check(receiver.recv(100) == text, f"{text} arrives")


def carries_and_cuts():
    with tempfile.TemporaryDirectory() as folder, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        control = os.path.join(folder, "relay.sock")
        relay = relay_harness.relay({1: "127.0.0.1:%d" % one.getsockname()[1],
                                     2: "127.0.0.1:%d" % two.getsockname()[1]}, control)
        try:
            def send(source, to, text):
                host, port = relay.links[source, to].rsplit(":", 1)
                (one if source == 1 else two).sendto(text, (host, int(port)))

            send(1, 2, b"there")
            arrives(two, b"there")
            send(2, 1, b"back")
            arrives(one, b"back")

            # One way only.
            relay.ask("cut 1 2")
            send(1, 2, b"never")
            wait_until(lambda: relay.counts()[1, 2]["cut"] == 1, "the relay cuts it off")
            send(2, 1, b"still")
            arrives(one, b"still")
            relay.ask("partition 1 2")
            send(2, 1, b"never")
            wait_until(lambda: relay.counts()[2, 1]["cut"] == 1, "both ways now")
            relay.ask("heal")
            send(1, 2, b"again")
            arrives(two, b"again")

            # What is late comes late, and twice if it is told to.
            relay.ask("set 1 2 delay_ms=20 duplicate=100")
            begin = time.monotonic()
            send(1, 2, b"late")
            arrives(two, b"late")
            check(time.monotonic() - begin >= 0.02, "it is not early")
            arrives(two, b"late")
            relay.ask("reset")
            relay.ask("set * * loss=100")
            send(1, 2, b"never")
            wait_until(lambda: relay.counts()[1, 2]["lost"] == 1, "all is lost")

            ctl = h.run(relay_harness.RELAY, "ctl", control, "set", "1", "2", "loss=0")
            check(ctl.returncode == 0 and ctl.stdout == "ok\n", "by the tool too")
            send(1, 2, b"found")
            arrives(two, b"found")
            ctl = h.run(relay_harness.RELAY, "ctl", control, "set", "1", "7", "loss=0")
            check(ctl.returncode == 1 and "'7' is no node here" in ctl.stderr, "a wrong command is refused")

            # A second relay does not take the first one's place; the socket of a dead one is nobody's.
            second = h.run(relay_harness.RELAY, "run", "--control", control, "--node", "1=127.0.0.1:1",
                           "--node", "2=127.0.0.1:2")
            check(second.returncode == 1 and "another relay" in second.stderr, "one relay at a socket")
            relay.process.kill()
            relay.process.wait()
            check(os.path.exists(control), "a killed relay leaves its socket")
            third = relay_harness.relay({1: "127.0.0.1:1", 2: "127.0.0.1:2"}, control)
            third.end()
            check(not os.path.exists(control), "a relay that ends takes its socket along")
        finally:
            relay.end()


class Traffic(background.Background):
    """Somebody at each node who takes and gives back a lock all the time, and one who sends to a group."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster = cluster
        self.cycles = {node: 0 for node in NODES}
        self.wrong = []
        for node in NODES:
            self.add(self.work, node)

    def work(self, node):
        try:
            connection = h.session(self.cluster, node)
            request = 0
            while not self.over.is_set():
                request += 1
                connection.send(h.acquire(request, b"own %d" % node, acknowledged=request - 1))
                _, answer, token, advice = connection.read_reply()
                check(answer == h.GRANTED, f"node {node}: a free lock is granted, not {answer}: {advice}")
                request += 1
                connection.send(h.release(request, request - 1, token, acknowledged=request - 1))
                _, answer, _, advice = connection.read_reply()
                check(answer == h.RELEASED, f"node {node}: a lock is given back, not {answer}: {advice}")
                self.cycles[node] += 1
                connection.send(h.frame(h.KEEPALIVE, struct.pack("<Q", request) + h.STAMP))
        except BaseException as error:  # pylint: disable=broad-except
            self.wrong.append(error)


def stays_whole(cluster, loss):
    cluster.relay.ask(f"set * * loss={loss}")
    before = {node: cluster.counter(node, "ring_installs") for node in NODES}
    with Traffic(cluster) as traffic, h.holder(cluster, 1, "held"):
        end = time.monotonic() + LOSSY_SECONDS
        while time.monotonic() < end and not traffic.wrong:
            time.sleep(0.2)  # For as long as the test is to be.
    check(not traffic.wrong, f"locks go on at {loss} % loss: {traffic.wrong}")
    after = {node: cluster.counter(node, "ring_installs") for node in NODES}
    check(before == after, f"configurations changed at {loss} % loss: {before} {after}")
    for node in NODES:
        check(traffic.cycles[node] > 0, f"node {node} took locks")
    for direction, counts in cluster.relay.counts().items():
        check(counts["lost"] > 0 and counts["overflowed"] == 0, f"{direction} was lossy: {counts}")
    losses = [cluster.counter(node, "ring_token_losses") for node in NODES]
    print(f"  {loss} % loss, {LOSSY_SECONDS:.0f} s: no configuration change, {sum(traffic.cycles.values())} cycles of "
          f"a lock, tokens lost for good: {sum(losses)}", flush=True)


def stays_whole_at_10_percent_loss():
    with relay_harness.Cluster(3) as cluster:
        stays_whole(cluster, 10)


def stays_whole_at_30_percent_loss():
    with relay_harness.Cluster(3) as cluster:
        stays_whole(cluster, 30)


def storm():
    """99 of 100 datagrams are lost. The times are a tenth of the profile's, so that the test does not take minutes."""
    timing = "[timing]\ntoken_timeout_ms = 2000\nlease_ms = 8000\n"
    with relay_harness.Cluster(3, 'profile = "storm"\n', timing) as cluster:
        wait_until(lambda: cluster.status(1)["state"] == "active", "no lease from before has to run out")
        cluster.relay.ask("set * * loss=99")
        before = {node: cluster.counter(node, "ring_installs") for node in NODES}
        for node in NODES:
            taken = cluster.lockctl(node, "run", "x", "--", "true")
            check(taken.returncode == 0, f"node {node} takes a lock in a storm: {taken.stderr}")
            check(cluster.counter(node, "datagrams_copied") > 0, "there are copies")
        after = {node: cluster.counter(node, "ring_installs") for node in NODES}
        check(before == after, f"the ring stays whole: {before} {after}")


def partition_and_heal():
    with relay_harness.Cluster(3) as cluster:
        cluster.relay.ask("partition 1,2 3")
        wait_until(lambda: cluster.status(1)["votes"] == 2, "two go on together")
        wait_until(lambda: not cluster.status(3)["primary"], "one is alone, and grants nothing")
        check(cluster.lockctl(1, "run", "x", "--", "true").returncode == 0, "the majority grants")
        cluster.relay.ask("heal")
        wait_until(lambda: all(cluster.status(node)["votes"] == 3 for node in NODES), "all are together again")


if __name__ == "__main__":
    h.main([carries_and_cuts, partition_and_heal, storm, stays_whole_at_10_percent_loss, stays_whole_at_30_percent_loss])
