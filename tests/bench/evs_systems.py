"""The systems that are measured beside each other, each with a daemon in every namespace of a network."""

import os
import signal
import subprocess
import tempfile
import uuid

from evs_crew import Crew
from process_usage import resident_megabytes


class System:
    """Started in a network, and ended, with `with`. A setting is how the daemons are configured and how its programs
    send: as much as the daemon takes, or with a window of own messages under way."""

    def __init__(self, build, network):
        self.build = build
        self.network = network
        self.scratch = tempfile.TemporaryDirectory(prefix="evs-bench-")
        self.folder = self.scratch.name
        self.daemons = []

    @property
    def nodes(self):
        return range(1, len(self.network.namespaces) + 1)

    def __enter__(self):
        try:
            self.prepare()
            for node in self.nodes:
                self.daemons.append(self.start(node))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
        self.scratch.cleanup()

    def spawn(self, node, *command):
        log = open(os.path.join(self.folder, f"{node}.log"), "ab")  # pylint: disable=consider-using-with
        with log:
            return subprocess.Popen(self.network.command(self.network.namespaces[node - 1], *command),
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def crew(self):
        return Crew([self.network.command(self.network.namespaces[node - 1], *self.member(node, len(self.nodes)))
                     for node in self.nodes], os.path.join(self.folder, "crew.log"))

    def resident_megabytes(self):
        return max(resident_megabytes(daemon.pid) for daemon in self.daemons)


class Ringlock(System):
    """Ours, sealed with its default cipher."""

    name = "ringlock"

    def __init__(self, build, network, multicast=False, offload=True):
        super().__init__(build, network)
        self.multicast = multicast
        self.offload = offload

    def prepare(self):
        lockctl, self.lockd = (os.path.join(self.build, *path) for path in (("tools", "lockctl"), ("lockd", "lockd")))
        subprocess.run([lockctl, "keygen", os.path.join(self.folder, "key")], check=True)
        nodes = "".join(f'[[node]]\nid = {node}\naddresses = ["{self.network.address(node)}:5500"]\n'
                        for node in self.nodes)
        multicast = 'multicast = "239.192.0.1:5501"\n' if self.multicast else ""
        cluster = uuid.uuid4()
        for node in self.nodes:
            config = self.config(node)
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'node_id = {node}\nkey_file = "key"\nstate_dir = "{node}.state"\nsocket = "{node}.sock"\n'
                           f'[cluster]\nname = "bench"\nuuid = "{cluster}"\n{multicast}'
                           f'[network]\noffload = {str(self.offload).lower()}\n{nodes}')
            subprocess.run([self.lockd, "init", "--config", config], check=True, capture_output=True)

    def config(self, node):
        return os.path.join(self.folder, f"{node}.toml")

    def start(self, node):
        return self.spawn(node, self.lockd, "--config", self.config(node))

    def member(self, node, count):
        return [os.path.join(self.build, "tools", "evs_load"), os.path.join(self.folder, f"{node}.sock"), str(count)]


class Corosync(System):
    """Debian's, over knet, encrypted; or over udpu, in the clear."""

    def __init__(self, build, network, realtime=True, clear=False):
        super().__init__(build, network)
        self.realtime = realtime
        self.clear = clear

    @property
    def name(self):
        return "corosync" + (" clear" if self.clear else "") + ("" if self.realtime else " sched_rr: no")

    def prepare(self):
        with open(os.path.join(self.folder, "authkey"), "wb") as file:
            file.write(os.urandom(256))
        crypto = "transport: udpu" if self.clear else (
            f"transport: knet\n crypto_cipher: aes256\n crypto_hash: sha256\n keyfile: {self.folder}/authkey")
        nodes = "".join(f" node {{\n  ring0_addr: {self.network.address(node)}\n  nodeid: {node}\n  name: n{node}\n }}\n"
                        for node in self.nodes)
        for node in self.nodes:
            with open(os.path.join(self.folder, f"{node}.conf"), "w", encoding="utf-8") as file:
                file.write(f"totem {{\n version: 2\n cluster_name: bench\n {crypto}\n}}\nnodelist {{\n{nodes}}}\n"
                           f"system {{\n sched_rr: {'yes' if self.realtime else 'no'}\n}}\n"
                           f"logging {{\n to_stderr: no\n to_logfile: yes\n logfile: {self.folder}/{node}.corosync.log\n}}\n")

    def start(self, node):
        # Each with folders of its own in place of those that are compiled in.
        places = " && ".join(f"mount -t tmpfs tmpfs {place}" for place in ("/run", "/var/lib/corosync"))
        return self.spawn(node, "unshare", "--mount", "sh", "-c",
                          f"{places} && exec corosync -f -c {self.folder}/{node}.conf")

    def member(self, node, count):
        return [os.path.join(self.build, "tests", "bench", "evs_load_corosync"), "-", str(count)]
