"""Arguments: checks that the constructors of steps share, and the signature of a class with `**options`."""

from __future__ import annotations

import inspect
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


def whole(step: str, argument: str, value: Any, least: int = 1) -> int:
    """The argument, which must be a whole number.

    >>> whole("Batch", "max_events", "10")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: Batch got max_events='10'; expected a whole number of at least 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise GraphError(f"{step} got {argument}={value!r}; expected a whole number of at least {least}.")
    return value


def seconds(step: str, argument: str, value: Any) -> float | None:
    """The argument, which must be a number of seconds, or None.

    >>> seconds("Batch", "flush_after_seconds", "1m")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: Batch got flush_after_seconds='1m'; expected a number of seconds, or None.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0):
        return value
    raise GraphError(f"{step} got {argument}={value!r}; expected a number of seconds, or None.")


def whole_signature(kind: type) -> inspect.Signature:
    """The signature of a class's constructor, with what its base takes by name in the place of `**options`.

    >>> class Base:
    ...     def __init__(self, model=None, *, name=None): ...
    >>> class Own(Base):
    ...     def __init__(self, limit, **options): ...
    >>> str(whole_signature(Own))
    '(limit, *, model=None, name=None)'

    So the engine sees that such a class names `context`, and a form or a completion lists all that it takes.
    """
    own = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]  # looked at, not called
    if not own or own[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return inspect.Signature(own)
    base = list(inspect.signature(kind.__mro__[1]).parameters.values())
    known = {parameter.name for parameter in own}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    passed = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in base
        if parameter.kind in named and parameter.name not in known
    ]
    rest = [parameter for parameter in base[-1:] if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    return inspect.Signature([*own[:-1], *passed, *rest])
