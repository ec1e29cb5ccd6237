"""Names: an argument that takes a list of names; a text alone is one name."""

from __future__ import annotations

from collections.abc import Iterable

from nbgraph.errors import GraphError

Names = str | Iterable[str]


def names_of(given: Names, step: str, argument: str) -> list[str]:
    """The names of an argument that takes one or many of them.

    >>> names_of("carrier", "CSVTarget", "columns"), names_of(["a", "b"], "CSVTarget", "columns")
    (['carrier'], ['a', 'b'])
    >>> names_of([1], "CSVTarget", "columns")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: CSVTarget got columns=[1]; expected a name or a list of names.
    """
    if isinstance(given, str):
        return [given]
    names = list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(name, str) for name in names):
        raise GraphError(f"{step} got {argument}={given!r}; expected a name or a list of names.")
    return names
