"""Discovery: deployments that this process does not hold: of other processes, or at a daemon."""

from __future__ import annotations

from collections.abc import Iterator

from nbgraph.deploy.backend import Backend, DaemonError
from nbgraph.deploy.target import hosts


def running(name: str, target: str | None) -> Iterator[Backend]:
    """Those that other processes started, or that this one forgot; on one target, or on any that can tell."""
    for host in hosts().values():
        if target in (None, host.name):
            try:
                found = host.find(name)
            except DaemonError:  # nothing of it runs where this machine could see it
                continue
            if found is not None:
                yield found


def unreachable(target: str | None) -> str:
    """What to add to "nothing is there" where a daemon could not be asked.

    >>> unreachable("process")
    ''
    """
    for host in hosts().values():
        if target in (None, host.name):
            try:
                host.check_answers()
            except DaemonError as error:
                return f", which can't be asked: {str(error).partition(': start')[0]}"
    return ""
