"""Ringlock's daemons as the nodes of a drill."""

import json
import os
import subprocess
import uuid

from nodes import END_SECONDS, Nodes, free_ports


class RinglockNodes(Nodes):
    first_service = "the first primary component"

    def __init__(self, build, folder, count, profile, seed):
        super().__init__(build, folder, count, seed)
        self.profile = profile

    def prepare(self):
        lockctl = os.path.join(self.build, "tools", "lockctl")
        subprocess.run([lockctl, "keygen", os.path.join(self.folder, "key")], check=True)
        own = {node: f"127.0.0.1:{port}" for node, port in zip(self.ids, free_ports(len(self.ids)))}
        self.start_relay(own)
        cluster = uuid.UUID(int=self.seed, version=4)
        for node in self.ids:
            peers = "".join(f'[[node]]\nid = {peer}\naddresses = ["'
                            f'{own[node] if peer == node else self.relay.links[node, peer]}"]\n' for peer in self.ids)
            with open(self.config(node), "w", encoding="utf-8") as file:
                file.write(f'node_id = {node}\nkey_file = "key"\nstate_dir = "{node}.state"\nsocket = "{node}.sock"\n'
                           f'[cluster]\nname = "drill"\nuuid = "{cluster}"\nprofile = "{self.profile}"\n{peers}')
            subprocess.run([self.lockd(), "init", "--config", self.config(node)], check=True, capture_output=True)

    def lockd(self):
        return os.path.join(self.build, "lockd", "lockd")

    def config(self, node):
        return os.path.join(self.folder, f"{node}.toml")

    def address(self, node):
        return os.path.join(self.folder, f"{node}.sock")

    def command(self, node):
        return [self.lockd(), "--config", self.config(node)]

    def led_by(self, node):
        """The representative of the primary component that it stands in, or None."""
        status = self.ask(node, "status")
        stands = status is not None and status["ring_state"] == "operational" and status["primary"]
        return status["ring"]["representative"] if stands else None

    def answers(self, node):
        """Whether it is an active member of a primary component."""
        status = self.ask(node, "status")
        return status is not None and status["primary"] and status["state"] == "active"

    def ask(self, node, *question):
        """An answer of lockctl, or None."""
        answer = subprocess.run([os.path.join(self.build, "tools", "lockctl"), "--json", "--socket", self.address(node),
                                 *question], capture_output=True, timeout=END_SECONDS)
        return json.loads(answer.stdout) if answer.returncode == 0 else None
