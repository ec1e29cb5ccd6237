"""Merge: the branches of an event come together again."""

from __future__ import annotations

from typing import Any

from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import whole
from nbgraph.steps.context import StepContext
from nbgraph.steps.key import Key, key_of
from nbgraph.types import Shape

__all__ = ["Merge"]


class Merge(Handler):
    """Wait for one event of each branch that leads here; the list of their bodies goes on.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> start = graph.to(lambda body: body, "start")
    >>> twice, square = start.to(lambda body: 2 * body, "twice"), start.to(lambda body: body * body, "square")
    >>> _ = graph.add_step(Merge(), after=["twice", "square"])
    >>> list(graph.stream([3, 5]))
    [[6, 9], [10, 25]]

    Events belong together that have the same id, or the same `key` (a field's name, "$key", a function of the body).
    When more than `max_behind` wait for their other parts, the oldest is given up and reported in the log; so are
    those that still wait when the stream ends. `expected_num_events` says how many parts there are, where it is not
    the number of arrows that lead here (a filter in a branch, or a choice, takes parts away).

    Parameters
    ----------
    key
        Field, `"$key"`, or function of the body; None: the event's id.
    max_behind
        Events that may wait for their other parts.
    expected_num_events
        Parts of an event; None: the arrows that lead here.
    """

    counterpart = Counterpart("Merge", renamed={"key_path": "key"}, keys=("key_path",))
    results_are_new = True
    shape = Shape.EVENTS
    holds_bodies = True

    def __init__(
        self,
        key: Key = None,
        max_behind: int = 64,
        expected_num_events: int | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        self._key = (lambda event: event.id) if key is None else key_of(key, "Merge")
        self._max_behind = whole("Merge", "max_behind", max_behind)
        self._expected = expected_num_events
        if expected_num_events is not None:
            whole("Merge", "expected_num_events", expected_num_events)
        self._context = context
        self.state: dict[Any, list[Any]] = {}  # key -> the parts that came, the oldest first

    def do(self, event: Event) -> list[Event]:
        key = self._key(event)
        parts = self.state.setdefault(key, [])
        parts.append(event.body)
        if len(parts) >= self._parts():
            del self.state[key]
            return [event.with_body(parts)]
        if len(self.state) > self._max_behind:
            self._give_up()
        return []

    def holding(self) -> bool:
        return bool(self.state)

    def release(self) -> tuple[()]:
        while self.state:
            self._give_up()
        return ()

    def _parts(self) -> int:
        if self._expected is not None:
            return self._expected
        return max(self._context.incoming(), 1) if self._context is not None else 1

    def _give_up(self) -> None:
        key = next(iter(self.state))
        parts = self.state.pop(key)
        if self._context is not None:
            message = "Event %r is given up: %d of its %d parts came to be merged."
            self._context.logger.error(message, key, len(parts), self._parts())
