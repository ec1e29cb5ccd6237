"""Operators that need no memory: map, filter, flat map, for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Handler
from nbgraph.types import Shape

Function = Callable[[Any], Any] | str  # a function of the body, or an expression over `event`


def callable_of(fn: Function, step: str) -> Callable[[Any], Any]:
    """The function itself, or the one an expression string means.

    >>> callable_of("event['x'] > 3", "Filter")({"x": 4})
    True
    """
    if callable(fn):
        return fn
    if isinstance(fn, str):
        return eval(f"lambda event: ({fn}\n)")  # type: ignore[no-any-return]
    raise GraphError(f"{step} got {fn!r}; expected a function of the body, or an expression over `event`.")


class _OfFunction(Handler):
    """A step around one function: the engine calls the function itself, with nothing in between."""

    do: Callable[[Any], Any]

    def __init__(self, fn: Function) -> None:
        self.do = callable_of(fn, type(self).__name__)


class Map(_OfFunction):
    """The function's result replaces the body.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Map(lambda body: body * 2))
    >>> graph.run(21)
    42
    """


class Filter(_OfFunction):
    """The body goes on where the predicate holds.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Filter("event > 1"))
    >>> list(graph.stream([1, 2, 3]))
    [2, 3]
    """

    shape = Shape.FILTER


class ForEach(_OfFunction):
    """Call the function for its effect; the body goes on as it was.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(ForEach(print))
    >>> graph.run("seen")
    seen
    'seen'
    """

    shape = Shape.EACH


class FlatMap(_OfFunction):
    """Each item of the function's result goes on as a body of its own.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(FlatMap(str.split))
    >>> list(graph.answers("a b"))
    ['a', 'b']
    """

    shape = Shape.FLAT


class Flatten(Handler):
    """Each item of the body goes on as a body of its own.

    >>> Flatten().do([1, 2])
    [1, 2]
    """

    shape = Shape.FLAT

    def do(self, body: Iterable[Any]) -> Iterable[Any]:
        return body
