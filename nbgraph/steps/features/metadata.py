"""SetEventMetadata: an event's id and key, taken from its body."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.dataframe import is_frame, is_polars
from nbgraph.types import Section, Shape

__all__ = ["SetEventMetadata"]


class SetEventMetadata(Handler):
    """The event's id and key are set to the value in the body at a path, `"card"` or `"customer.id"`.

    >>> from nbgraph import Event, Graph
    >>> from nbgraph.steps import ReifyMetadata, SetEventMetadata
    >>> graph = Graph("g")
    >>> _ = graph.to(SetEventMetadata(id_path="order", key_path="customer.id")).to(ReifyMetadata(["id", "key"]))
    >>> graph.run({"order": 12, "customer": {"id": 7}})
    {'order': 12, 'customer': {'id': 7}, 'id': '12', 'key': 7}

    An id is always a text; `random_id` gives the event a new one. A DataFrame is one event: its id and key are the
    values that all its rows have.

    Parameters
    ----------
    id_path
        Dotted path of the id.
    key_path
        Dotted path of the key.
    random_id
        Whether the event gets a new id.
    """

    section = Section.FEATURES
    counterpart = Counterpart("SetEventMetadata")
    shape = Shape.EVENT

    def __init__(self, id_path: str | None = None, key_path: str | None = None, random_id: bool = False) -> None:
        if id_path is not None and random_id:
            raise GraphError(
                f'SetEventMetadata got id_path="{id_path}" and random_id; an event has one id, choose one.'
            )
        self._id, self._key, self._is_random = id_path, key_path, random_id

    def do(self, event: Event) -> None:
        if self._id is not None:
            event.id = str(_at(self._id, event.body))
        if self._key is not None:
            event.key = _at(self._key, event.body)
        if self._is_random:
            event.id = uuid.uuid4().hex


def _at(path: str, body: Any) -> Any:
    if is_frame(body):
        return _common(path, body)
    found = body
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            has = ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            raise KeyError(f'SetEventMetadata found no "{path}" in the body; at "{part}" there is: {has or "nothing"}.')
        found = found[part]
    return found


def _common(column: str, frame: Any) -> Any:
    found = frame[column].unique()
    values = found.to_list() if is_polars(found) else found.tolist()
    if len(values) != 1:
        raise ValueError(
            f'SetEventMetadata: the frame has {len(values)} different values of "{column}"; an event has one. '
            "Let the rows be events of their own: graph.stream(frame)."
        )
    return values[0]
