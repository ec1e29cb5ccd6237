"""Sample: one event of many goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import whole
from nbgraph.steps.key import Key, key_of
from nbgraph.types import Shape

__all__ = ["SampleWindow"]


class SampleWindow(Handler):
    """One event of each `window_size` goes on: the first or the last of them.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(SampleWindow(3, "last", emit_before_termination=True))
    >>> list(graph.stream([1, 2, 3, 4]))
    [3, 4]

    With `emit_before_termination` the last event seen goes on when the stream ends, if it has not already. With `key`
    (a field's name, "$key", a function of the body) each key has a window of its own.

    Parameters
    ----------
    window_size
        Events of which one goes on.
    emit_period
        Which: `"first"` or `"last"`.
    emit_before_termination
        Whether the last one seen goes on at the end.
    key
        Field, `"$key"`, or function of the body: a window for each key.
    """

    counterpart = Counterpart("SampleWindow", keys=("key",), numbered={"emit_period": {1: "first", 2: "last"}})
    results_are_new = True

    do: Callable[[Any], Any]
    holds_bodies = True

    def __init__(
        self,
        window_size: int,
        emit_period: Literal["first", "last"] = "first",
        emit_before_termination: bool = False,
        key: Key = None,
    ) -> None:
        if emit_period not in ("first", "last"):
            raise GraphError(f'SampleWindow got emit_period={emit_period!r}; expected "first" or "last".')
        self._size = whole("SampleWindow", "window_size", window_size, 2)
        self._turn = 1 if emit_period == "first" else window_size
        self._keeps_last = emit_before_termination
        self._key = key_of(key, "SampleWindow")
        self.shape = Shape.FLAT if key is None else Shape.EVENTS
        self.do = self._by_body if key is None else self._by_event
        self.state: dict[Any, tuple[int, list[Any]]] = {}  # key -> events of the window so far, the last if it waits

    def _by_body(self, body: Any) -> list[Any]:
        return [body] if self._is_chosen(None, body) else []

    def _by_event(self, event: Event) -> list[Event]:
        return [event] if self._is_chosen(self._key(event), event) else []

    def _is_chosen(self, key: Any, item: Any) -> bool:
        count = self.state[key][0] % self._size + 1 if key in self.state else 1
        is_chosen = count == self._turn
        self.state[key] = (count, [item] if self._keeps_last and not is_chosen else [])
        return is_chosen

    def release(self) -> list[Any]:
        waiting = [item for _, items in self.state.values() for item in items]
        self.state = {}
        return waiting
