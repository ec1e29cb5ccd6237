"""Discovery: deployments that this process does not hold: of other processes, or at a daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nbgraph.deploy.backend import Backend, DaemonError
from nbgraph.deploy.target import hosts


@dataclass(frozen=True, slots=True)
class Discovery:
    """What runs under a name. `silent`: why a daemon could not be asked, by the daemon."""

    found: tuple[Backend, ...]
    silent: Mapping[str, DaemonError]

    @property
    def remark(self) -> str:
        """What to add to "nothing is there" where a daemon could not be asked."""
        reasons = [str(error).partition(": start")[0] for error in self.silent.values()]
        return f", which can't be asked: {reasons[0]}" if reasons else ""


def discover(name: str, target: str | None = None) -> Discovery:
    """What other processes started, or this one forgot, on one target or on any; a daemon is waited for once.

    >>> discover("nobody", "process")
    Discovery(found=(), silent={})
    """
    found: list[Backend] = []
    silent: dict[str, DaemonError] = {}
    for host in hosts().values():
        if target not in (None, host.name) or host.daemon in silent:
            continue
        try:
            backend = host.find(name)
        except DaemonError as error:  # nothing of it runs where this machine could see it
            silent[host.daemon] = error
        else:
            found += [backend] if backend is not None else []
    return Discovery(tuple(found), silent)
