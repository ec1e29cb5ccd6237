"""Names: an argument that takes a list of names; a text alone is one name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbgraph.errors import GraphError

Names = str | Iterable[str]


def names_of(given: Names, step: str, argument: str) -> list[Any]:
    """The names of an argument that takes one or many of them; numbers too, where a frame's columns have numbers.

    >>> names_of("carrier", "CSVTarget", "columns"), names_of(["a", "b"], "CSVTarget", "columns")
    (['carrier'], ['a', 'b'])
    >>> names_of([None], "CSVTarget", "columns")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: CSVTarget got columns=[None]; expected a name or a list of names.
    """
    names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if not all(isinstance(name, str | int) for name in names):
        raise GraphError(f"{step} got {argument}={given!r}; expected a name or a list of names.")
    return names
