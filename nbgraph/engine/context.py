"""Context: what a handler or a constructor that names `context` gets."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgraph.body import Copier
from nbgraph.errors import NbgraphError
from nbgraph.types import Clock

SECRETS = Path("/run/secrets")  # where Docker and Kubernetes put secrets as files
RESERVED = ("api_key", "broker_token", "broker_auth", "server.conf")  # what else lies there: nbgraph's own


def ignore_metric(step: str, name: str, value: float) -> None:
    """Metrics go nowhere until somebody collects them."""


def no_arrow() -> int:
    """A step that stands alone: no arrow leads to it."""
    return 0


@dataclass(frozen=True)
class Context:
    """The logger, parameters, secrets and metrics of one step.

    >>> context = Context(graph="fraud", step="score", params={"limit": 3})
    >>> context.params["limit"], context.logger.name
    (3, 'nbgraph.fraud.score')
    """

    graph: str
    step: str
    function: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock = time.monotonic
    report: Callable[[str, str, float], None] = ignore_metric
    copied: Callable[[Any], Any] = field(default_factory=Copier)  # a body for one of several that get it
    incoming: Callable[[], int] = no_arrow  # how many arrows lead to the step, asked anew since a graph may grow

    @property
    def logger(self) -> logging.Logger:
        return logging.getLogger(f"nbgraph.{self.graph}.{self.step}")

    def metric(self, name: str, value: float) -> None:
        """Report a number of your own; served as a Prometheus gauge."""
        self.report(self.step, name, value)

    def secret(self, name: str) -> str:
        """A secret's text: from the environment, else from the file of that name under /run/secrets."""
        found = os.environ.get(name)
        if found is not None:
            return found
        path = SECRETS / name
        if not path.name == name or not path.is_file():
            raise NbgraphError(
                f'Secret "{name}" is neither in the environment nor a file in {SECRETS}; '
                f"set the variable {name} or mount the secret."
            )
        return path.read_text().rstrip("\n")
