"""Label: the truth about events that were predicted, as it comes from a stream or a table."""

from __future__ import annotations

from typing import Any, Protocol

from nbgraph.handler import Handler
from nbgraph.types import Shape

__all__ = ["Label"]


class LabelContext(Protocol):
    """The part of a step's context that takes labels."""

    def label(self, id: str, value: Any, time: Any = None) -> None: ...


class Label(Handler):
    """Tells the label of an event, by its id, to whoever watches the graph; the body goes on.

    >>> from nbgraph import Graph
    >>> graph = Graph("truth")
    >>> _ = graph.to(Label(id="payment", label="fraud"))
    >>> graph.run({"payment": "e-77", "fraud": True})
    {'payment': 'e-77', 'fraud': True}

    Parameters
    ----------
    id
        Field that has the id of the event.
    label
        Field that has what is true.
    time
        Field that has when that was known; None: now.
    """

    shape = Shape.EACH

    def __init__(
        self, id: str = "id", label: str = "label", time: str | None = None, *, context: LabelContext | None = None
    ) -> None:
        self._id, self._label, self._time, self._context = id, label, time, context

    def do(self, body: Any) -> None:
        if self._context is not None:
            when = None if self._time is None else body[self._time]
            self._context.label(str(body[self._id]), body[self._label], when)
