"""Hosted: what a running function looks like to a Deployment, whoever runs it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

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
    """A function that runs somewhere."""

    target: str
    request: Request
    url: str
    metrics_urls: list[str]

    def logs(self, lines: int) -> str:
        """The last lines of what the worker logged and the steps printed."""

    def state(self) -> State:
        """How it is now."""

    def stop(self) -> None:
        """End it, events in flight first, and leave nothing behind; a second call does nothing."""


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
