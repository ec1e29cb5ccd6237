"""Choice: which of the following steps an event goes on to; which side of a partition it is on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.operators.stateless import BODY, Function, callable_of
from nbgraph.types import Shape

__all__ = ["Choice", "ChoiceByField", "Partition", "Partitioned"]


class Choice(Handler):
    """The function names the step, or the list of steps, that the body goes on to.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> choice = graph.to(Choice(lambda body: "big" if body > 9 else "small"))
    >>> _ = choice.to(lambda body: f"{body} is big", "big"), choice.to(lambda body: f"{body} is small", "small")
    >>> list(graph.stream([3, 30]))
    ['3 is small', '30 is big']

    A subclass may have `select_outlets(body)` in place of the function. An empty list ends the event's way.

    Parameters
    ----------
    fn
        Function of the body that names the next step, or a list of steps.
    """

    counterpart = Counterpart("Choice")
    shape = Shape.EACH
    expressions: ClassVar = {"fn": BODY}

    def __init__(self, fn: Function | None = None) -> None:
        if fn is not None:
            self._choose = callable_of(fn, type(self), "fn")
        elif type(self).select_outlets is Choice.select_outlets:
            raise GraphError("Choice needs a function of the body, or a subclass with select_outlets(body).")

    def do(self, body: Any) -> None:
        """The body goes on as it is."""

    def select_outlets(self, body: Any) -> str | Iterable[str]:
        return self._choose(body)  # type: ignore[no-any-return]  # of the user's: the engine checks it


class ChoiceByField(Handler):
    """A field of the body names the step, or the list of steps, that it goes on to.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> choice = graph.to(ChoiceByField("currency"))
    >>> _ = choice.to(lambda body: "in euros", "EUR"), choice.to(lambda body: "in dollars", "USD")
    >>> list(graph.stream([{"currency": "USD"}, {"currency": "EUR"}]))
    ['in dollars', 'in euros']

    Parameters
    ----------
    field_name
        Field whose value names the next step, or a list of steps.
    """

    counterpart = Counterpart("ChoiceByField")
    shape = Shape.EACH

    def __init__(self, field_name: str) -> None:
        self._field = field_name

    def do(self, body: Any) -> None:
        """The body goes on as it is."""

    def select_outlets(self, body: Any) -> str | Iterable[str]:
        try:
            names: str | Iterable[str] = body[self._field]
        except (KeyError, TypeError):
            found = ", ".join(body) if isinstance(body, dict) else type(body).__name__
            raise KeyError(f'the body has no field "{self._field}" to choose by; it has: {found}') from None
        return names


class Partitioned(NamedTuple):
    """A body on the side that the predicate put it; the other side is None.

    Parameters
    ----------
    left
        The body where the predicate holds.
    right
        The body where it does not.
    """

    left: Any
    right: Any


class Partition(Handler):
    """Put the body on the left where the predicate holds, on the right where it does not.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Partition("event > 9"))
    >>> list(graph.stream([3, 30]))
    [Partitioned(left=None, right=3), Partitioned(left=30, right=None)]

    Parameters
    ----------
    predicate
        Function of the body, or an expression over `event`.
    """

    counterpart = Counterpart("Partition")
    expressions: ClassVar = {"predicate": BODY}

    def __init__(self, predicate: Function) -> None:
        self._predicate = callable_of(predicate, type(self), "predicate")

    def do(self, body: Any) -> Any:
        return Partitioned(body, None) if self._predicate(body) else Partitioned(None, body)

    def takes_event(self) -> bool:
        """From now on the predicate gets the Event."""
        self.do = self._by_event  # type: ignore[assignment, method-assign]  # decided once, not at each event
        return True

    def _by_event(self, event: Event) -> None:
        is_left = self._predicate(event)
        event.body = Partitioned(event.body, None) if is_left else Partitioned(None, event.body)
