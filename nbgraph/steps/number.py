"""Number: arguments of steps that are counts or spans of time, looked at once, where they are given."""

from __future__ import annotations

from typing import Any

from nbgraph.errors import GraphError


def whole(step: str, argument: str, value: Any, least: int = 1) -> int:
    """The argument, once it is clear that it is a whole number.

    >>> whole("Batch", "max_events", "10")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: Batch got max_events='10'; expected a whole number of at least 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise GraphError(f"{step} got {argument}={value!r}; expected a whole number of at least {least}.")
    return value


def seconds(step: str, argument: str, value: Any) -> float | None:
    """The argument, once it is clear that it is a number of seconds, or None.

    >>> seconds("Batch", "flush_after_seconds", "1m")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: Batch got flush_after_seconds='1m'; expected a number of seconds, or None.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0):
        return value
    raise GraphError(f"{step} got {argument}={value!r}; expected a number of seconds, or None.")
