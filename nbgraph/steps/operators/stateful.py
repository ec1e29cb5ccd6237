"""Fold: one value made of many events; a state that goes from one event to the next."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.operators.stateless import Folding, callable_of
from nbgraph.steps.tables.table import Table
from nbgraph.types import Shape
from nbgraph.values import normal_key

__all__ = ["MapWithState", "Reduce"]


class Reduce(Handler):
    """Fold all events into one value, which goes on when the stream ends.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Reduce(0, lambda total, body: total + body))
    >>> list(graph.stream([1, 2, 3]))
    [6]

    `fn(state, body)` gives the new state; as a text it is an expression over `state` and `event`.

    Parameters
    ----------
    initial_value
        Value before the first event.
    fn
        Function of value and body that gives the next value.
    """

    counterpart = Counterpart("Reduce")
    shape = Shape.HOLD
    expressions: ClassVar = {"fn": ("state", "event")}

    do: Callable[[Any], None]

    def __init__(self, initial_value: Any, fn: Folding) -> None:
        self._initial_value = initial_value
        fold = callable_of(fn, type(self), "fn")
        state = copy.deepcopy(initial_value)

        def do(body: Any) -> None:
            nonlocal state  # faster than an attribute, and this is called once for every event
            state = fold(state, body)

        def get() -> Any:
            return state

        def put(value: Any) -> None:
            nonlocal state
            state = value

        self.do, self._get, self._put = do, get, put

    def takes_event(self) -> bool:
        return True

    @property
    def state(self) -> Any:
        return self._get()

    @state.setter
    def state(self, value: Any) -> None:
        self._put(value)

    def release(self) -> list[Any]:
        result, self.state = self.state, copy.deepcopy(self._initial_value)
        return [result]


class MapWithState(Handler):
    """As Map, with a state that the function gets and gives back: `fn(body, state) -> (body, state)`.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(MapWithState(0, lambda body, count: ({**body, "number": count}, count + 1)))
    >>> list(graph.stream([{"a": 1}, {"a": 2}]))
    [{'a': 1, 'number': 0}, {'a': 2, 'number': 1}]

    With `group_by_key` each key has a state of its own, that of the event's key. The initial state may then be a
    `Table`, where states are found and kept. A state that has `close()` is closed when the stream ends, or the worker
    stops; it, and a table, is used itself and not as a copy.

    Parameters
    ----------
    initial_state
        State before the first event; a Table with `group_by_key`.
    fn
        Function of body and state that gives both.
    group_by_key
        Whether each key has a state of its own.
    """

    counterpart = Counterpart("MapWithState")
    expressions: ClassVar = {"fn": ("event", "state")}

    do: Callable[[Any], Any]

    def __init__(self, initial_state: Any, fn: Folding, group_by_key: bool = False) -> None:
        self._fn = callable_of(fn, type(self), "fn")
        self._initial_state = initial_state
        self.shape = Shape.EVENT if group_by_key else Shape.MAP
        is_table = isinstance(initial_state, Table)
        is_open = callable(getattr(initial_state, "close", None))
        self.state = {} if group_by_key else initial_state if is_open else copy.deepcopy(initial_state)
        if is_open:
            self.release, self.end = self._release, self._close  # type: ignore[method-assign]  # only then has it any
        self.do = (self._by_table if is_table else self._by_key) if group_by_key else self._for_all

    def takes_event(self) -> bool:
        return self.shape is Shape.MAP  # with a state for each key it is called with bodies

    def _release(self) -> tuple[()]:
        self._close()
        return ()

    def _close(self) -> None:
        """Whatever can be closed is; with keys, each begins anew."""
        if isinstance(self._initial_state, Table) or self.shape is Shape.MAP:
            self._initial_state.close()
            return
        for state in self.state.values():
            state.close()
        self.state.clear()

    def _for_all(self, body: Any) -> Any:
        body, self.state = self._fn(body, self.state)
        return body

    def _by_key(self, event: Event) -> None:
        key = normal_key(event.key)
        state = self.state[key] if key in self.state else copy.deepcopy(self._initial_state)
        event.body, self.state[key] = self._fn(event.body, state)

    def _by_table(self, event: Event) -> None:
        table: Table = self._initial_state
        event.body, table[event.key] = self._fn(event.body, table.get(event.key, {}))
