#!/usr/bin/env python3
"""Bad datagrams for a real ring: without the key, with it, and of another cluster. No daemon dies, no lock is lost.

  bad_input_datagram_test.py [TEST...]      the programs are those of RINGLOCK_BUILD, else of build/
"""

import os
import random
import shutil
import socket
import subprocess
import uuid

import bad_input_harness as h
from bad_input_harness import check

RANDOM = random.Random(2)


def secret_of(cluster):
    with open(cluster.path("key"), "rb") as file:
        return file.read()


def cluster_of(cluster):
    line = next(line for line in cluster.configuration(1).splitlines() if line.startswith("uuid"))
    return uuid.UUID(line.split('"')[1]).bytes


def send_to_all(cluster, datagrams):
    """To each node, in small portions, so that sockets have room. Answers how many went to each."""
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            for address in cluster.addresses():
                sender.sendto(datagram, address)
            count += 1
            if count % 50 == 0:
                cluster.status(1)
    return count


def random_bytes(longest):
    return RANDOM.randbytes(RANDOM.choice([0, 1, 7, 47, 48, 49, 100, RANDOM.randint(0, longest)]))


def the_sealing_of_this_test():
    """It seals as the example of docs/wire.md says, so that what it calls a valid seal is one."""
    sealer = h.Sealer(bytes(range(32)), bytes(range(0xc0, 0xd0)), 3, salt=bytes(range(0xa0, 0xb0)), key_id=258)
    check(sealer.key.hex() == "5e3562c80b53453f1365aabf24e473ae3a25d62253e440d8de2b7df94be45414", "the key")
    record = sealer.seal(b"token").hex()
    check(record.endswith("267221bd4f" + "85e62610b1c00604d3e486991fe7ab19"), f"text and tag: {record}")


def without_a_valid_seal():
    with h.Cluster(3) as cluster, h.holder(cluster, 1, "precious"):
        before = [cluster.counter(node, "datagrams_refused") for node in (1, 2, 3)]
        sealer = h.Sealer(secret_of(cluster), cluster_of(cluster), 2)
        stranger = h.Sealer(os.urandom(32), cluster_of(cluster), 2)
        bad = [random_bytes(1500) for _ in range(300)]
        for _ in range(200):
            record = sealer.seal(random_bytes(200))
            bad.append(record[:RANDOM.randrange(len(record))])                # Cut.
            flipped = bytearray(record)
            flipped[RANDOM.randrange(len(record))] ^= 1 << RANDOM.randrange(8)
            bad.append(bytes(flipped))                                        # Changed on the way.
            bad.append(stranger.seal(random_bytes(200)))                      # Of another key.
        bad.append(sealer.seal(b"x", version=9))
        bad.append(sealer.seal(b"x", kind=9))
        bad.append(RANDOM.randbytes(65507))
        count = send_to_all(cluster, bad)
        for node in (1, 2, 3):
            # A socket that is full loses some: that is the network's right.
            h.wait_until(lambda n=node: cluster.counter(n, "datagrams_refused") - before[n - 1] > count / 2,
                         f"node {node} counts what it refuses")
        cluster.check_well()


def bad_texts():
    texts = [bytes([first]) + RANDOM.randbytes(length) for first in range(256) for length in (0, 3, 60)]
    texts += [bytes([version, kind]) + RANDOM.randbytes(RANDOM.randint(0, 300))
              for version in (0, 1, 2) for kind in range(16) for _ in range(10)]
    return texts + [b"", RANDOM.randbytes(8000)]


def of_lives_that_prove_nothing():
    """Recordings are like that: their seal is valid, and nobody is there who could answer a challenge."""
    with h.Cluster(3) as cluster, h.holder(cluster, 1, "precious"):
        secret, name = secret_of(cluster), cluster_of(cluster)
        before = [cluster.counter(node, "datagrams_refused") for node in (1, 2, 3)]
        lives = [h.Sealer(secret, name, node) for node in (1, 2, 3, 4, 0)]
        texts = bad_texts()
        send_to_all(cluster, (RANDOM.choice(lives).seal(plain, kind=RANDOM.choice([1, 1, 2, 3])) for plain in texts))
        for node in (1, 2, 3):
            h.wait_until(lambda n=node: cluster.counter(n, "datagrams_refused") - before[n - 1] > len(texts) / 2,
                         f"node {node} counts what it refuses")
        cluster.check_well()


def of_a_node_that_has_the_key():
    """Node 3 is ours: it answers challenges, is taken for alive, and then says what is no message."""
    with h.Cluster(3) as cluster, h.holder(cluster, 1, "precious"):
        secret, name = secret_of(cluster), cluster_of(cluster)
        cluster.tool("kill", cluster.folder, "3")
        life = h.Sealer(secret, name, 3)
        received = cluster.counter(1, "datagrams_received")
        refused = cluster.counter(1, "datagrams_refused")
        texts = bad_texts()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as puppet:
            puppet.bind(cluster.addresses()[2])
            puppet.settimeout(0.02)
            proved = set()
            while len(proved) < 2:
                for address in cluster.addresses()[:2]:
                    puppet.sendto(life.seal(b"no message"), address)
                try:
                    kind, node, plain = h.open_record(secret, name, puppet.recv(65536))
                except socket.timeout:
                    continue
                if kind == 2:
                    puppet.sendto(life.seal(node.to_bytes(4, "little") + plain[4:], kind=3),
                                  cluster.addresses()[node - 1])
                    proved.add(node)
            for count, plain in enumerate(texts):
                for address in cluster.addresses()[:2]:
                    puppet.sendto(life.seal(plain), address)
                if count % 50 == 0:
                    cluster.status(1)
            # What was accepted once is not accepted again.
            record = life.seal(b"\x01\x01")
            for _ in range(100):
                puppet.sendto(record, cluster.addresses()[0])
            h.wait_until(lambda: cluster.counter(1, "datagrams_received") > received + len(texts) / 2, "they arrive")
            h.wait_until(lambda: cluster.counter(1, "datagrams_refused") > refused + 50, "the copies are refused")
        cluster.tool("start", cluster.folder, "3")
        cluster.check_well()


def a_daemon_of_another_cluster():
    """One that is told our addresses, with our key by mistake or with its own: nobody takes it for a member."""
    with h.Cluster(3) as cluster, h.holder(cluster, 1, "precious"):
        foreign = os.path.join(cluster.parent, "foreign")
        for own_key in (False, True):
            os.mkdir(foreign)
            if own_key:
                check(h.run(h.LOCKCTL, "keygen", os.path.join(foreign, "key")).returncode == 0, "keygen")
            else:
                shutil.copy2(cluster.path("key"), foreign)
            # Its node 3 listens on a port of its own; its nodes 1 and 2 are ours.
            text = cluster.configuration(3).replace(str(uuid.UUID(bytes=cluster_of(cluster))), str(uuid.uuid4()))
            host, port = cluster.addresses()[2]
            text = text.replace(f"{host}:{port}", f"{host}:{port + 100}")
            config = os.path.join(foreign, "3.toml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(text)
            made = h.run(h.LOCKD, "init", "--config", config)
            check(made.returncode == 0, f"init: {made.stderr}")
            before = [cluster.counter(node, "datagrams_refused") for node in (1, 2)]
            with open(os.path.join(foreign, "log"), "wb") as log:
                daemon = subprocess.Popen([h.LOCKD, "--config", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                for node in (1, 2):
                    h.wait_until(lambda n=node: cluster.counter(n, "datagrams_refused") > before[n - 1] + 5,
                                 f"node {node} refuses what the stranger sends")
                check(daemon.poll() is None, "the stranger runs")
                answer = h.run(h.LOCKCTL, "--socket", os.path.join(foreign, "3.sock"), "run", "x", "-n", "--", "true")
                check(answer.returncode == 69, f"the stranger has no quorum and says so: {answer.returncode}")
                check(cluster.status(1)["votes"] == 3, "all of ours are still together")
            finally:
                daemon.terminate()
                daemon.wait()
            shutil.rmtree(foreign)
        cluster.check_well()


h.main([the_sealing_of_this_test, without_a_valid_seal, of_lives_that_prove_nothing, of_a_node_that_has_the_key,
        a_daemon_of_another_cluster])
