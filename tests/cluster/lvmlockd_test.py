#!/usr/bin/env python3
"""Unmodified lvmlockd (Debian's lvm2-lockd) on our libdlm: three hosts, each with a lockd and an lvmlockd of its own in
a mount namespace, share a volume group on one loop device. There is no device mapper in it: volume groups and their
metadata, not active volumes.

Without root, a loop device or the package it is skipped, and says so."""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import time

import bad_input_harness as h
from bad_input_harness import BUILD, Cluster, check, wait_until

SKIPPED = 77
LIBRARIES = ":".join(os.path.join(BUILD, "liblock", folder) for folder in ("compat", ""))
SECONDS = 60  # For a command of LVM.

LV = "dW5pcX-0000-0000-0000-0000-0000-logvol"  # As LVM writes a UUID.

LVM_CONF = """
global {{ use_lvmlockd = 1 lvmlockd_lock_retries = 1 }}
devices {{ use_devicesfile = 0 obtain_device_list_from_udev = 0 external_device_info_source = "none" scan = [ "/dev" ]
          filter = [ "a|^{device}$|", "r|.*|" ] }}
activation {{ udev_sync = 0 udev_rules = 0 monitoring = 0 }}
backup {{ backup = 0 archive = 0 }}
"""

# What a host sees: the tree where the kernel would have it, and a /run of its own. Ends with its standard input.
NAMESPACE = """
mount -t tmpfs none /sys/kernel && mkdir -p /sys/kernel/config/dlm/cluster &&
mount --bind "$1" /sys/kernel/config/dlm/cluster && mount --bind "$2" /run &&
(cat /proc/devices; echo "253 device-mapper") > /run/devices && mount --bind /run/devices /proc/devices &&
mkdir -p /dev/mapper && mount -t tmpfs none /dev/mapper && echo ready && exec cat
"""

# Holds a lock of a lockspace that this node is in until its standard input ends. It says "held", or what was wrong.
HOLDER = """
import ctypes, sys
class Lksb(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("lkid", ctypes.c_uint32), ("flags", ctypes.c_char), ("value", ctypes.c_void_p)]
dlm = ctypes.CDLL("libdlm_lt.so.3", use_errno=True)
dlm.dlm_open_lockspace.restype = ctypes.c_void_p
space = ctypes.c_void_p(dlm.dlm_open_lockspace(sys.argv[1].encode()))
lksb, name = Lksb(), sys.argv[2].encode()
done = dlm.dlm_ls_lock_wait(space, 5, ctypes.byref(lksb), 0, name, len(name), 0, None, None, None)
print("held" if done == 0 else f"errno {ctypes.get_errno()}", flush=True)
sys.stdin.read()
"""


# An lvmlockd that adopts asks the device mapper which volumes are active: here, by each answer, none.
NO_DEVICES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#define WANTS_MODE(flags) ((flags) & (O_CREAT | O_TMPFILE))
#define OPEN(name)                                                                       \
  int name(const char *path, int flags, ...) {                                           \
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
    va_list more;                                                                        \
    va_start(more, flags);                                                               \
    mode_t mode = WANTS_MODE(flags) ? va_arg(more, mode_t) : 0;                          \
    va_end(more);                                                                        \
    return next(strcmp(path, "/dev/mapper/control") ? path : "/dev/null", flags, mode);  \
  }
OPEN(open)
OPEN(open64)
int ioctl(int fd, unsigned long request, ...) {
  int (*next)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  va_list more;
  va_start(more, request);
  void *arg = va_arg(more, void *);
  va_end(more);
  if (_IOC_TYPE(request) != DM_IOCTL) return next(fd, request, arg);
  struct dm_ioctl *dm = arg;
  dm->version[0] = 4;
  dm->version[1] = 40;
  dm->version[2] = 0;
  dm->data_start = sizeof *dm;
  if (dm->data_size > sizeof *dm) memset(dm + 1, 0, dm->data_size - sizeof *dm);
  return 0;
}
"""


def why_not():
    """What is missing for this test, in words; None if nothing is."""
    if os.geteuid() != 0:
        return "it needs root, for mount namespaces and a loop device"
    for program, package in (("lvmlockd", "lvm2-lockd"), ("vgcreate", "lvm2"), ("losetup", "mount")):
        if shutil.which(program) is None:
            return f"there is no {program}: apt-get install {package}"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        return "mount namespaces cannot be made here"
    if subprocess.run(["losetup", "-f"], capture_output=True).returncode != 0:
        return "there is no loop device"
    return None


@contextlib.contextmanager
def loop_device(path):
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    made = h.run("losetup", "-f", "--show", path)
    if made.returncode != 0:
        print(f"skipped: there is no loop device: {made.stderr.strip()}")
        sys.exit(SKIPPED)
    device = made.stdout.strip()
    try:
        yield device
    finally:
        h.run("losetup", "-d", device)


class Host:
    """One node with its lockd, and an lvmlockd in a namespace of its own."""

    def __init__(self, cluster, node, device):
        self.cluster, self.node = cluster, node
        self.folder = cluster.path(f"host{node}")
        self.tree = cluster.path(f"{node}.dlm")
        for name in ("etc", "run/lvm", "run/lock/lvm"):
            os.makedirs(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "etc", "lvm.conf"), "w", encoding="ascii") as file:
            file.write(LVM_CONF.format(device=device))
        self.environment = {**os.environ, "LVM_SYSTEM_DIR": os.path.join(self.folder, "etc"),
                            "LVM_SUPPRESS_FD_WARNINGS": "1", "LOCKD_SOCKET": cluster.socket(node),
                            "LD_LIBRARY_PATH": LIBRARIES}
        self.no_devices = os.path.join(self.folder, "no_devices.so")
        built = subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", self.no_devices], input=NO_DEVICES, text=True)
        check(built.returncode == 0, "a device mapper without devices")
        self.lvmlockd = None
        self.keeper = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", NAMESPACE, "sh", self.tree, os.path.join(self.folder, "run")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.keeper.stdout.readline() == "ready\n", "a mount namespace for the host")

    def inside(self, *command):
        return ["nsenter", "-m", "-t", str(self.keeper.pid), *command]

    def run(self, *command):
        # A command that is refused reads nothing, and one that asks is answered with the end of its input.
        return subprocess.run(self.inside(*command), capture_output=True, text=True, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, env=self.environment)

    def do(self, *command):
        ended = self.run(*command)
        check(ended.returncode == 0, f"host {self.node}: {' '.join(command)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def refused(self, *command):
        ended = self.run(*command)
        check(ended.returncode != 0, f"host {self.node}: {' '.join(command)} was not refused: {ended.stdout}{ended.stderr}")
        return ended.stdout + ended.stderr

    def begin(self, *arguments):
        with open(os.path.join(self.folder, "lvmlockd.log"), "ab") as log:
            self.lvmlockd = subprocess.Popen(self.inside("lvmlockd", "-f", "-D", "-g", "dlm", *arguments),
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env={**self.environment, "LD_PRELOAD": self.no_devices})
        wait_until(lambda: self.run("lvmlockctl", "--info").returncode == 0, f"lvmlockd of host {self.node} answers")

    def kill(self):
        self.lvmlockd.kill()
        self.lvmlockd.wait()

    def spaces(self):
        """The nodes in each lockspace, as lvmlockd sees them."""
        folder = os.path.join(self.tree, "spaces")
        return {name: sorted(os.listdir(os.path.join(folder, name, "nodes"))) for name in sorted(os.listdir(folder))}

    def ask(self, **request):
        """Speaks with lvmlockd as the commands do; (the connection, the result). What a connection has locked without
        "persistent" is given back when it ends."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(h.DEADLINE)
        connection.connect(os.path.join(self.folder, "run", "lvm", "lvmlockd.socket"))
        lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in request.items()]
        connection.sendall(("\n".join(lines) + "\n\n##\n").encode())
        answer = b""
        while b"##\n" not in answer:
            more = connection.recv(4096)
            check(more, f"lvmlockd of host {self.node} hung up: {answer}")
            answer += more
        for line in answer.decode().splitlines():
            if line.startswith("op_result"):
                return connection, int(line.split("=")[1])
        raise AssertionError(f"host {self.node}: {answer}")

    def adopt_file(self):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.folder, "run/lvm/lvmlockd.adopt"),
                                                          encoding="ascii") as file:
            return file.read()
        return ""

    def lock_vg(self, mode):
        return self.ask(request="lock_vg", cmd="test", pid=os.getpid(), mode=mode, opts="none", vg_name="vg1")

    def lock_lv(self, mode):
        connection, result = self.ask(
            request="lock_lv", cmd="test", pid=os.getpid(), mode=mode, opts="persistent", vg_name="vg1", lv_name="lv",
            lv_uuid=LV, vg_lock_type="dlm", vg_lock_args="1.0.0:local", lv_lock_args="dlm")
        connection.close()
        return result

    def end(self):
        if self.lvmlockd is not None and self.lvmlockd.poll() is None:
            self.kill()
        self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper.stdout.close()

    @contextlib.contextmanager
    def holding(self, space, name):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, space, name], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env=self.environment)
        try:
            said = process.stdout.readline()
            check(said == "held\n", f"host {self.node} holds {name} of {space}: {said}")
            yield
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def show_trees(cluster):
    """All daemons anew, with a tree each."""
    for node in range(1, cluster.count + 1):
        cluster.tool("kill", cluster.folder, str(node))
        with open(cluster.path(f"{node}.toml"), "a", encoding="utf-8") as file:
            file.write(f'[compat]\ndlm_tree = "{node}.dlm"\n')
    for node in range(1, cluster.count + 1):
        cluster.tool("start", cluster.folder, str(node))
    for node in range(1, cluster.count + 1):
        serves(cluster, node)


def serves(cluster, node):
    wait_until(lambda: cluster.lockctl(node, "status").returncode == 0 and cluster.status(node)["state"] == "active",
               f"node {node} serves")


def tags(host):
    return host.do("vgs", "--noheadings", "-o", "tags", "vg1").strip()


def shared_volume_group(one, two, three, device):
    one.do("vgcreate", "--shared", "vg1", device)
    check(one.spaces() == {"lvm_global": ["1"], "lvm_vg1": ["1"]}, f"{one.spaces()}")
    for host in (two, three):
        host.do("vgchange", "--lockstart", "vg1")
    for host in (one, two, three):
        kind = host.do("vgs", "--noheadings", "-o", "lock_type,lock_args", "vg1").split()
        check(kind == ["dlm", "1.0.0:local"], f"{kind}")
        wait_until(lambda of=host: of.spaces() == {"lvm_global": ["1", "2", "3"], "lvm_vg1": ["1", "2", "3"]}
                   if of is one else of.spaces()["lvm_vg1"] == ["1", "2", "3"], f"all are in it: {host.spaces()}")
    for host in (one, two, three):
        host.do("vgchange", "--addtag", f"by{host.node}", "vg1")
    check(tags(one) == "by1,by2,by3", "each sees what the others have written")


def refused_while_held(one, two, three):
    with three.holding("lvm_vg1", "VGLK"):
        for host in (one, two, three):
            check("lock" in host.refused("vgchange", "--addtag", "never", "vg1"), "refused, and why")
    one.do("vgchange", "--deltag", "by3", "vg1")
    check(tags(two) == "by1,by2", "nothing of what was refused has been done")
    check("other hosts" in one.refused("vgremove", "vg1"), "who uses it is known")


def lockd_dies(cluster, one, two):
    """An lvmlockd that holds nothing goes on when its lockd is back, however late that is."""
    cluster.tool("kill", cluster.folder, "2")
    one.do("vgchange", "--addtag", "meanwhile", "vg1")
    wait_until(lambda: one.spaces()["lvm_vg1"] == ["1", "3"], "the others see that it is gone")
    time.sleep(4)  # Longer than its lease lasts.
    cluster.tool("start", cluster.folder, "2")
    serves(cluster, 2)
    wait_until(lambda: two.spaces() == {"lvm_global": ["1", "2", "3"], "lvm_vg1": ["1", "2", "3"]}, "it is in them again")
    check(two.lvmlockd.poll() is None, "lvmlockd has survived")
    check("meanwhile" in tags(two), "and sees what happened meanwhile")
    two.do("vgchange", "--deltag", "meanwhile", "vg1")


def lvmlockd_dies(one, three):
    """What it held stays locked until the next one adopts it."""
    check(three.lock_lv("ex") == 0, "the lock of a logical volume")
    check(one.lock_lv("ex") == -errno.EAGAIN, "is held")
    wait_until(lambda: "LV:" in three.adopt_file(), "lvmlockd has noted what it holds")
    connection, result = three.lock_vg("ex")
    check(result == 0, "the lock of the volume group")
    with connection:
        three.kill()
        check("lock" in one.refused("vgchange", "--addtag", "never", "vg1"), "its orphan stays in the way")
        check(one.lock_lv("ex") == -errno.EAGAIN, "and that of the logical volume")
    three.begin("--adopt", "1")
    wait_until(lambda: one.run("vgchange", "--addtag", "adopted", "vg1").returncode == 0, "adopted, and given back")
    check(tags(three) == "adopted,by1,by2", "it serves as before")


def the_end(one, two, three):
    for host in (two, three):
        host.do("vgchange", "--lockstop", "vg1")
    one.do("vgremove", "-f", "vg1")
    check("lvm_vg1" not in one.spaces(), f"{one.spaces()}")
    for host in (one, two, three):
        host.do("lvmlockctl", "--stop-lockspaces")
        wait_until(lambda of=host: of.spaces() == {}, f"host {host.node} is in no lockspace")
        host.do("lvmlockctl", "--quit")
        check(host.lvmlockd.wait(timeout=h.DEADLINE) == 0, "it ends well")


def main():
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    with Cluster(3) as cluster, contextlib.ExitStack() as stack:
        show_trees(cluster)
        device = stack.enter_context(loop_device(cluster.path("disk")))
        hosts = []
        for node in (1, 2, 3):
            hosts.append(Host(cluster, node, device))
            stack.callback(hosts[-1].end)
        try:
            for host in hosts:
                host.begin("--adopt", "1")
            for work in (lambda: shared_volume_group(*hosts, device), lambda: refused_while_held(*hosts),
                         lambda: lockd_dies(cluster, hosts[0], hosts[1]), lambda: lvmlockd_dies(hosts[0], hosts[2]),
                         lambda: the_end(*hosts)):
                work()
                print(work.__code__.co_names[0], flush=True)
        except BaseException:
            for host in hosts:
                with open(os.path.join(host.folder, "lvmlockd.log"), encoding="utf-8", errors="replace") as file:
                    sys.stderr.write(f"--- lvmlockd of host {host.node}\n" + "".join(file.readlines()[-40:]))
            raise
    print("lvmlockd_test: all passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
