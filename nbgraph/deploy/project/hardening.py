"""Profile: what a container of ours may do, the same wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbgraph.contract import (
    DEPLOYMENT_LABEL,
    FUNCTION_LABEL,
    GRAPH_LABEL,
)
from nbgraph.deploy.options.resources import Resources

USER = "10001:10001"
TMP_SIZE = 64 * 2**20
LOG = {"max-size": "10m", "max-file": "2"}  # 20 MiB at most
GRACE_SECONDS = 30  # between SIGTERM and SIGKILL; the worker itself gives up a little earlier
PIDS = 256
LEAST_MEMORY = 2**30
LOCKED: dict[str, Any] = {  # in the words that Docker, Compose and Swarm share
    "user": USER,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "pids_limit": PIDS,
    "init": True,
}


@dataclass(frozen=True, slots=True)
class Hardening:
    """The part that differs from graph to graph; `cpus`: None for all there are; sizes in bytes.

    >>> Hardening.of(500 * 2**20).memory // 2**20, Hardening.of(500 * 2**20, Resources(memory=2**30)).megabytes
    (3524, '1024m')
    """

    memory: int = LEAST_MEMORY
    cpus: float | None = None
    gpus: int = 0
    tmp: int = TMP_SIZE

    @classmethod
    def of(cls, artifacts: int, given: Resources | None = None, workers: int = 1) -> Hardening:
        """What was asked for; else room for the interpreter with its libraries, and for artifacts several times their
        size on disk, in each of the workers.
        """
        given = given or Resources()
        memory = given.memory or (LEAST_MEMORY + 5 * artifacts // 2**20 * 2**20) * workers
        return cls(memory, given.cpus, given.gpus, given.tmp or TMP_SIZE)

    @property
    def megabytes(self) -> str:
        return f"{self.memory // 2**20}m" if self.memory % 2**20 == 0 else f"{self.memory}b"

    @property
    def tmpfs(self) -> str:
        """How /tmp is mounted, in the words of Docker and Compose."""
        size = f"{self.tmp // 2**20}m" if self.tmp % 2**20 == 0 else f"{self.tmp}"
        return f"noexec,nosuid,nodev,size={size}"


def hardened(profile: Hardening) -> dict[str, Any]:
    """How Docker's `containers.create` is told to let a container do as little as possible."""
    from docker.types import DeviceRequest, LogConfig

    room: dict[str, Any] = {}
    if profile.cpus is not None:
        room["nano_cpus"] = round(profile.cpus * 10**9)
    if profile.gpus:
        room["device_requests"] = [DeviceRequest(count=profile.gpus, capabilities=[["gpu"]])]
    return {
        **LOCKED,
        "tmpfs": {"/tmp": profile.tmpfs},
        "mem_limit": profile.memory,
        "memswap_limit": profile.memory,
        "restart_policy": {"Name": "unless-stopped"},
        "log_config": LogConfig(type="json-file", config=LOG),
        **room,
    }


def labels(graph: str, function: str, deployment: str) -> dict[str, str]:
    """What `Deployment.attach` and everyone else finds a container by."""
    return {GRAPH_LABEL: graph, FUNCTION_LABEL: function, DEPLOYMENT_LABEL: deployment}


def is_public(host: str) -> bool:
    """Whether others than this machine can reach a port on that address.

    >>> is_public("127.0.0.1"), is_public("localhost"), is_public("0.0.0.0")
    (False, False, True)
    """
    return host not in ("127.0.0.1", "localhost", "::1")
