"""An Edge: an arrow from one step to another, and when it is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbgraph.types import EdgeKind

Condition = str | Callable[[Any], Any]
Caught = type[BaseException] | str | tuple[type[BaseException] | str, ...]  # exceptions, or their names
WHOLE_GRAPH = "*"  # the source of the edge to a graph's own error handler


@dataclass(frozen=True, slots=True)
class Edge:
    """Frozen data: names of source and target, a condition or `otherwise`, and the kind.

    On an error edge `when` is the names of the exceptions it is for, `"ValueError | KeyError"`; None is all.

    >>> Edge("score", "alert", when="event['p'] > .9").kind == "flow"
    True
    """

    source: str
    target: str
    when: Condition | None = None
    otherwise: bool = False
    kind: EdgeKind = EdgeKind.FLOW

    @property
    def is_error(self) -> bool:
        return self.kind is EdgeKind.ERROR

    @property
    def carries_events(self) -> bool:
        """True for what an event flows along: everything but the edge to an error handler."""
        return self.kind is not EdgeKind.ERROR
