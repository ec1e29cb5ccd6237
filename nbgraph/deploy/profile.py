"""Profile: what a container of ours may do, the same wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

USER = "10001:10001"
PORT, METRICS_PORT = 8080, 9090
TMP_MEGABYTES = 64
TMP = f"noexec,nosuid,nodev,size={TMP_MEGABYTES}m"
LOG = {"max-size": "10m", "max-file": "2"}  # 20 MiB at most
GRACE_SECONDS = 30  # between SIGTERM and SIGKILL; the worker itself gives up a little earlier
PIDS = 256
LEAST_MEMORY = 2**30
SECRETS = "/run/secrets"
PROMISED = "/promised"  # where a gateway keeps what callers were promised, until it is done
LOCKED: dict[str, Any] = {  # in the words that Docker, Compose and Swarm share
    "user": USER,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "pids_limit": PIDS,
    "init": True,
}
KEY_FILE = f"{SECRETS}/api_key"


@dataclass(frozen=True, slots=True)
class Profile:
    """The part that differs from graph to graph.

    >>> Profile.of_artifacts(500 * 2**20).memory // 2**20
    3524
    """

    memory: int = LEAST_MEMORY

    @classmethod
    def of_artifacts(cls, size: int) -> Profile:
        """Room for the interpreter with its libraries, and for artifacts several times their size on disk."""
        return cls(LEAST_MEMORY + 5 * size)

    @property
    def megabytes(self) -> str:
        return f"{self.memory // 2**20}m"


def hardened(profile: Profile) -> dict[str, Any]:
    """How Docker's `containers.create` is told to let a container do as little as possible."""
    from docker.types import LogConfig

    return {
        **LOCKED,
        "tmpfs": {"/tmp": TMP},
        "mem_limit": profile.memory,
        "memswap_limit": profile.memory,
        "restart_policy": {"Name": "unless-stopped"},
        "log_config": LogConfig(type="json-file", config=LOG),
    }


def labels(graph: str, function: str, deployment: str) -> dict[str, str]:
    """What `Deployment.attach` and everyone else finds a container by."""
    return {"nbgraph.graph": graph, "nbgraph.function": function, "nbgraph.deployment": deployment}


def is_public(host: str) -> bool:
    """Whether others than this machine can reach a port on that address.

    >>> is_public("127.0.0.1"), is_public("localhost"), is_public("0.0.0.0")
    (False, False, True)
    """
    return host not in ("127.0.0.1", "localhost", "::1")
