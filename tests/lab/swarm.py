"""A Swarm of three nodes on one machine: Docker daemons in network namespaces of their own, joined by a bridge.

A daemon has its own namespaces of processes and mounts as well: to kill the one process that holds them ends all that
runs on the node at once, as when its power is cut, and leaves nothing mounted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("ip", "nsenter", "unshare", "setpriv", "dockerd", "docker")
SUBNET = "192.168.77"
NAMESPACES = Path("/var/run/netns")
CGROUPS = Path("/sys/fs/cgroup")
PATIENCE = 60.0


@dataclass
class Node:
    """A machine of the Swarm, as far as Docker can see."""

    name: str
    address: str
    namespace: str
    socket: Path
    daemon: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def is_alive(self) -> bool:
        return self.daemon.poll() is None

    def docker(self, *words: str) -> str:
        """What a docker command prints on this node."""
        return _ran(["docker", "--host", self.host, *words]).strip()

    def kill(self) -> None:
        """Everything on the node ends at once."""
        self.daemon.kill()
        self.daemon.wait(10)


class SwarmLab:
    """Three nodes; the first is the manager."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nbgraph-swarm-"))
        self._mark = f"nbg{os.getpid()}"
        self._bridge = f"{self._mark}-sw"
        self.nodes: list[Node] = []

    def start(self) -> None:
        """Bring up the bridge, the daemons and the Swarm."""
        _ip("netns", "add", self._bridge)
        _ip("-n", self._bridge, "link", "add", "br0", "type", "bridge")
        _ip("-n", self._bridge, "link", "set", "br0", "up")
        for number in (1, 2, 3):
            self.nodes.append(self._node(number))
        for node in self.nodes:
            _wait_for(node)
        manager, *others = self.nodes
        manager.docker("swarm", "init", "--advertise-addr", manager.address)
        token = manager.docker("swarm", "join-token", "--quiet", "worker")
        for node in others:
            node.docker("swarm", "join", "--token", token, "--advertise-addr", node.address, f"{manager.address}:2377")

    def stop(self) -> None:
        """Whatever was brought up goes."""
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.kill()
        for namespace in (self._bridge, *(node.namespace for node in self.nodes)):
            if (NAMESPACES / namespace).exists():
                subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
        _until_gone(self.folder)
        for tree in (CGROUPS / self._mark, *CGROUPS.glob(f"*/{self._mark}")):
            _remove_cgroups(tree)

    def bring(self, source: str, images: list[str], nodes: list[Node]) -> None:
        """Copy images from a daemon to nodes, as `docker save | docker load` does."""
        file = self.folder / "images.tar"
        _ran(["docker", *(["--host", source] if source else []), "save", "--output", str(file), *images])
        loading = [subprocess.Popen(["docker", "--host", node.host, "load", "--quiet", "--input", str(file)],
                                    stdout=subprocess.DEVNULL) for node in nodes]  # fmt: skip
        assert [process.wait(PATIENCE) for process in loading] == [0] * len(nodes)
        file.unlink()

    def _node(self, number: int) -> Node:
        namespace, address = f"{self._mark}-n{number}", f"{SUBNET}.{number}"
        _ip("netns", "add", namespace)
        _ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", f"v{number}", "netns", self._bridge)
        _ip("-n", self._bridge, "link", "set", f"v{number}", "master", "br0", "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "route", "add", "default", "via", f"{SUBNET}.254")  # Swarm wants one; nobody is there
        home = self.folder / f"node{number}"
        home.mkdir()
        return Node(f"node{number}", address, namespace, home / "docker.sock", self._daemon(number, namespace, home))

    def _daemon(self, number: int, namespace: str, home: Path) -> subprocess.Popen[bytes]:
        options = [
            "--data-root", f"{home}/root", "--exec-root", f"{home}/exec", "--pidfile", f"{home}/pid",
            "--host", f"unix://{home}/docker.sock", "--cgroup-parent", f"/{self._mark}",
            "--exec-opt", "native.cgroupdriver=cgroupfs",
        ]  # fmt: skip
        own = ["--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        named = ["sh", "-c", f'hostname node{number}; exec dockerd "$@"', "dockerd", *options]
        inside = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={NAMESPACES / namespace}"]
        with (home / "log").open("wb") as log:
            return subprocess.Popen(
                [*inside, "unshare", *own, *named],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


def problem() -> str | None:
    """Why there can be no such lab here; None where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"nbg{os.getpid()}-probe"
    probes = [
        ["ip", "netns", "add", name],
        ["ip", "-n", name, "link", "add", "br0", "type", "bridge"],
        ["ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
        ["ip", "-n", name, "link", "add", "x0", "type", "vxlan", "id", "7", "dstport", "4789", "dev", "v0"],
        [
            "nsenter",
            f"--net={NAMESPACES / name}",
            "unshare",
            "--uts",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "true",
        ],
    ]
    try:
        for probe in probes:
            found = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
            if found.returncode:
                return f"{' '.join(probe)}: {found.stderr.strip()}"
        return None
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _ran(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _ip(*words: str) -> None:
    _ran(["ip", *words])


def _wait_for(node: Node) -> None:
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(["docker", "--host", node.host, "version"], capture_output=True, check=False).returncode:
        if node.daemon.poll() is not None or time.monotonic() > deadline:
            log = (node.socket.parent / "log").read_text(errors="replace")
            raise RuntimeError(f"The Docker daemon of {node.name} did not start: {log[-1500:]}")
        time.sleep(0.1)


def _until_gone(folder: Path) -> None:
    """A killed daemon's last mounts and files go a moment after it."""
    deadline = time.monotonic() + 20
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def _remove_cgroups(tree: Path) -> None:
    for folder, _, _ in os.walk(tree, topdown=False):
        with contextlib.suppress(OSError):  # a process in it is just ending
            os.rmdir(folder)
