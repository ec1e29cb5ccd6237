"""Batch: many bodies become one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import seconds, whole
from nbgraph.steps.context import StepContext, clock_of
from nbgraph.steps.key import Key, key_of
from nbgraph.types import Shape

__all__ = ["Batch"]


class Batch(Handler):
    """Lists of up to `max_events` bodies; the last of them, when the stream ends, may be shorter.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Batch(2))
    >>> list(graph.stream([1, 2, 3]))
    [[1, 2], [3]]

    `flush_after_seconds` lets a list go that long after its first body came, full or not. With `key` (a field's name,
    "$key", a function of the body) each key has a list of its own, and the list's event has that key.

    Parameters
    ----------
    max_events
        Bodies of one list; None: no limit.
    flush_after_seconds
        Seconds after the first event that waits, after which what there is goes on; None: not by time.
    key
        Field, `"$key"`, or function of the body: a list for each key.
    """

    counterpart = Counterpart(
        "Batch",
        renamed={"key_field": "key"},
        unused={"drop_key_field": (False,)},
        keys=("key_field",),
        note="a list that is not full goes on when the stream ends, not never",
    )
    results_are_new = True

    do: Callable[[Any], Any]
    holds_bodies = True

    def __init__(
        self,
        max_events: int | None = None,
        flush_after_seconds: float | None = None,
        key: Key = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        self._max_events = None if max_events is None else whole("Batch", "max_events", max_events)
        self._seconds = seconds("Batch", "flush_after_seconds", flush_after_seconds)
        self._key = key_of(key, "Batch")
        self._is_whole = False
        self._clock = clock_of(context)
        self.shape = Shape.FLAT if key is None else Shape.EVENTS
        self.do = self._by_body if key is None else self._by_event
        self.state: dict[Any, tuple[float, list[Any]]] = {}  # key -> when its first body came, its bodies

    def takes_event(self) -> bool:
        """From now on its lists hold the Events."""
        self._is_whole = True
        return True

    def _by_body(self, body: Any) -> list[list[Any]]:
        return [bodies for _, bodies in self._add(None, body)]

    def _by_event(self, event: Event) -> Iterator[Event]:
        for key, bodies in self._add(self._key(event), event if self._is_whole else event.body):
            batch = event.with_body(bodies)
            batch.key = key
            yield batch

    def _add(self, key: Any, body: Any) -> list[tuple[Any, list[Any]]]:
        """The lists that go now: those that are late, and the body's own when it is full."""
        late = self._taken(self._late()) if self._seconds is not None else []
        if key not in self.state:
            self.state[key] = (self._clock() if self._seconds is not None else 0.0, [])
        bodies = self.state[key][1]
        bodies.append(body)
        if len(bodies) == self._max_events:
            late += self._taken([key])
        return late

    def _late(self) -> list[Any]:
        limit = self._clock() - (self._seconds or 0.0)
        # `dict`'s own methods: to whoever keeps the state, the lists that are only looked at here have not changed
        return [key for key, (began, _) in dict.items(self.state) if began <= limit]

    def _taken(self, keys: list[Any]) -> list[tuple[Any, list[Any]]]:
        return [(key, self.state.pop(key)[1]) for key in keys]

    def holding(self) -> bool:
        return bool(self.state)

    def due(self) -> float | None:
        if self._seconds is None or not self.state:
            return None
        return min(began for began, _ in dict.values(self.state)) + self._seconds

    def overdue(self) -> list[Any]:
        return self._let_go(self._late())

    def release(self) -> list[Any]:
        return self._let_go(list(self.state))

    def _let_go(self, keys: list[Any]) -> list[Any]:
        taken = self._taken(keys)
        return [bodies if self.shape is Shape.FLAT else Event(bodies, key=key) for key, bodies in taken]
