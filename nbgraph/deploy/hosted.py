"""Hosted: what a running function looks like to a Deployment, whoever runs it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from nbgraph.errors import DeployError


@dataclass(frozen=True, slots=True)
class Request:
    """How a graph is to be hosted."""

    name: str  # of the deployment
    graph: str
    function: str
    host: str
    port: int | None
    api_key: str | None
    timeout: float


@dataclass(frozen=True, slots=True)
class State:
    """One row of `Deployment.status()`."""

    function: str
    replica: str
    state: str
    restarts: int
    started: str
    image: str


class Hosted(Protocol):
    """The functions of a graph, running somewhere."""

    target: str
    request: Request

    @property
    def url(self) -> str: ...

    @property
    def functions(self) -> list[str]:
        """Their names; the first answers callers."""

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of what the workers logged and the steps printed."""

    def states(self) -> list[State]:
        """How each worker is now."""

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each worker are read: its function, the URL."""

    def scale(self, function: str, n: int) -> None:
        """Run that many workers of a function."""

    def replicas(self, function: str) -> int:
        """How many workers of a function there shall be."""

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        """Dead letters of the broker, the newest first; none where there is no broker."""

    def stop(self) -> None:
        """End it, events in flight first, and leave nothing behind; a second call does nothing."""


def alone(function: str) -> DeployError:
    """The sentence for scaling what can't be scaled."""
    return DeployError(f'"{function}" answers callers on one port and so has one replica; scaling needs queues.')


def failed_start(what: str, log: str) -> DeployError:
    """The sentence for a worker that never answered, with the end of its log."""
    return DeployError(f"{what}; the end of its log:\n{readable(log.splitlines()[-15:])}")


def readable(lines: Iterable[str]) -> str:
    """Log lines without their JSON.

    >>> readable(['{"level": "error", "message": "no model"}', "printed"])
    'error: no model\\nprinted'
    """
    return "\n".join(map(_readable, lines)) or "(it is empty)"


def _readable(line: str) -> str:
    try:
        record = json.loads(line)
        text = f"{record['level']}: {record['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    traceback = record.get("traceback")
    return f"{text}\n{traceback}" if traceback else text
