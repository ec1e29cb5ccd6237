"""An Edge: an arrow from one step to another, and when it is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbgraph.types import EdgeKind

Condition = str | Callable[[Any], Any]
Caught = type[BaseException] | str | tuple[type[BaseException] | str, ...]  # exceptions, or their names
WHOLE_GRAPH = "*"  # the source of the edges to a graph's own handlers of errors and alerts


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
    def is_alert(self) -> bool:
        return self.kind is EdgeKind.ALERT

    @property
    def carries_events(self) -> bool:
        """True for what an event flows along: everything but the edges to handlers of errors and alerts."""
        return self.kind in (EdgeKind.FLOW, EdgeKind.CYCLE)


def exception_names(on: Caught | None) -> str | None:
    """The names of exceptions as an error edge has them: `"ValueError | KeyError"`."""
    if on is None:
        return None
    named = [one if isinstance(one, str) else _exception_name(one) for one in (on if isinstance(on, tuple) else (on,))]
    return " | ".join(named)


def _exception_name(kind: type[BaseException]) -> str:
    is_near = kind.__module__ in ("builtins", "__main__") or "<locals>" in kind.__qualname__
    return kind.__name__ if is_near else f"{kind.__module__}.{kind.__qualname__}"
