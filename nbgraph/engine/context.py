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
from nbgraph.graph.reported import Reported
from nbgraph.types import Clock

SECRETS = Path("/run/secrets")  # where Docker and Kubernetes put secrets as files
RESERVED = ("api_key", "broker_token", "broker_auth", "server.conf")  # nbgraph's own secrets there


def ignore_label(id: str, value: Any, time: Any) -> None:
    """Labels go nowhere where nobody watches."""


def no_arrow() -> int:
    """No arrow leads to a step without a graph."""
    return 0


def log_error(step: str, event: Any, message: str) -> None:
    """Without a graph an error is only logged."""
    logging.getLogger(f"nbgraph.{step}").error("%s", message)


@dataclass(eq=False)
class Context:
    """The logger, parameters, secrets and metrics of one step, and attributes shared by the graph's steps.

    >>> context = Context(graph="fraud", step="score", params={"limit": 3})
    >>> context.get_param("limit"), context.get_param("most", 9), context.logger.name
    (3, 9, 'nbgraph.fraud.score')
    >>> context.visits = {"score": 1}
    >>> context.visits
    {'score': 1}
    >>> context.count("refused")
    >>> context.observe("amount", 9.5)
    >>> context.reported.to_dict()
    {'score': {'refused': 1.0, 'amount': {'count': 1, 'sum': 9.5}}}

    Attributes that a step sets are shared by all steps of the graph in this process; each worker of a deployment begins
    without them. What must survive a restart, or be stepped back over, belongs into a step's `state`.
    """

    graph: str
    step: str
    function: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock = time.monotonic
    reported: Reported = field(default_factory=Reported)  # the numbers that the graph's steps report
    copied: Callable[[Any], Any] = field(default_factory=Copier)  # copies a body for one of several receivers
    incoming: Callable[[], int] = no_arrow  # how many arrows lead to the step; a function, since a graph may grow
    told: Callable[[str, Any, str], None] = log_error  # reports an event to the graph's error stream
    labelled: Callable[[str, Any, Any], None] = ignore_label  # takes labels: id, value, time
    kept: dict[str, Any] = field(default_factory=dict)  # the shared attributes

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dataclass_fields__ and name not in vars(self):
            super().__setattr__(name, value)  # by the constructor
        elif name in self.__dataclass_fields__ or hasattr(type(self), name):
            raise AttributeError(f'"{name}" of a context is set by the graph; use another name.')
        else:
            self.kept[name] = value

    def __getattr__(self, name: str) -> Any:
        kept = vars(self).get("kept", {})
        if name not in kept:
            own = f"; on it were put: {', '.join(kept)}" if kept else ", and nothing was put on it so far"
            raise AttributeError(f'A context has no "{name}"{own}.')
        return kept[name]

    @property
    def logger(self) -> logging.Logger:
        return logging.getLogger(f"nbgraph.{self.graph}.{self.step}")

    @property
    def project(self) -> str:
        """The graph's name: graphs have no project above them."""
        return self.graph

    def label(self, id: str, value: Any, time: Any = None) -> None:
        """Tell the truth about an event that was predicted, by its id."""
        self.labelled(id, value, time)

    def metric(self, name: str, value: float) -> None:
        """Report a metric, of which the last value counts; served as a Prometheus gauge.

        Parameters
        ----------
        name
            Name of the metric.
        value
            The number.
        """
        self.reported.metric(self.step, name, value)

    def count(self, name: str, n: float = 1) -> None:
        """Add to a count; served as a Prometheus counter.

        Parameters
        ----------
        name
            Name of the metric.
        n
            How many more, 0 or above.
        """
        self.reported.count(self.step, name, n)

    def observe(self, name: str, value: float) -> None:
        """Report one value of a distribution; served as a Prometheus histogram.

        Parameters
        ----------
        name
            Name of the metric.
        value
            The value.
        """
        self.reported.observe(self.step, name, value)

    def push_error(self, event: Any, message: str, source: str | None = None) -> None:
        """Report to the log, and to the graph's `error_stream`, what is wrong with an event that still goes on."""
        self.told(source or self.step, event, message)

    def get_param(self, key: str, default: Any = None) -> Any:
        """A parameter, or the default."""
        return self.params.get(key, default)

    def get_secret(self, key: str) -> str | None:
        """As `secret`, but None if there is none."""
        try:
            return self.secret(key)
        except NbgraphError:
            return None

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
