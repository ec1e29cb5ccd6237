"""Operators that need no memory: map, filter, flat map, for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.graph.safety.formula import formula
from nbgraph.handler import Counterpart, Handler, expressions_of
from nbgraph.types import Shape

__all__ = ["Filter", "FlatMap", "Flatten", "ForEach", "Map"]

Function = Callable[[Any], Any] | str  # a function of the body, or an expression over `event`
Folding = Callable[[Any, Any], Any] | str
BODY = ("event",)  # what most expressions are over


def callable_of(fn: Callable[..., Any] | str, owner: type[Any], argument: str) -> Callable[..., Any]:
    """The function itself, or the one that an expression means; its owner has declared the argument as one.

    >>> callable_of("event['x'] > 3", Filter, "fn")({"x": 4})
    True
    """
    if callable(fn):
        return fn
    names = expressions_of(owner)[argument]
    if isinstance(fn, str):
        return formula(fn, names, owner.__name__)
    wanted = " and ".join(f"`{name}`" for name in names)
    raise GraphError(f"{owner.__name__} got {fn!r}; expected a function, or an expression over {wanted}.")


class _OfFunction(Handler):
    """A step around one function: the engine calls the function itself, with nothing in between."""

    expressions: ClassVar = {"fn": BODY}

    do: Callable[[Any], Any]

    def __init__(self, fn: Function) -> None:
        self.do = callable_of(fn, type(self), "fn")

    def takes_event(self) -> bool:
        return True


class Map(_OfFunction):
    """The function's result replaces the body.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Map(lambda body: body * 2))
    >>> graph.run(21)
    42

    Parameters
    ----------
    fn
        Function of the body, or an expression over `event` as text.
    """

    counterpart = Counterpart("Map")


class Filter(_OfFunction):
    """The body goes on where the predicate holds.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Filter("event > 1"))
    >>> list(graph.stream([1, 2, 3]))
    [2, 3]

    Parameters
    ----------
    fn
        Predicate of the body, or an expression over `event` as text.
    """

    counterpart = Counterpart("Filter")
    shape = Shape.FILTER


class ForEach(_OfFunction):
    """Call the function for its effect; the body goes on as it was.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(ForEach(print))
    >>> graph.run("seen")
    seen
    'seen'

    Parameters
    ----------
    fn
        Function of the body; its result does not matter.
    """

    counterpart = Counterpart("ForEach")
    shape = Shape.EACH


class FlatMap(_OfFunction):
    """Each item of the function's result goes on as a body of its own.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(FlatMap(str.split))
    >>> list(graph.answers("a b"))
    ['a', 'b']

    Parameters
    ----------
    fn
        Function of the body that gives an iterable, or an expression over `event` as text.
    """

    counterpart = Counterpart("FlatMap")
    shape = Shape.FLAT


class Flatten(Handler):
    """Each item of the body goes on as a body of its own.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Flatten)
    >>> list(graph.stream([[1, 2], [3]]))
    [1, 2, 3]
    """

    counterpart = Counterpart("Flatten")
    shape = Shape.FLAT

    def do(self, body: Iterable[Any]) -> Iterable[Any]:
        return body
