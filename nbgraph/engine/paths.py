"""Paths into a body: what `input_path` takes out and `result_path` puts in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbgraph.errors import PathError
from nbgraph.event import Event

Path = tuple[str, ...]


def path_of(text: str | None) -> Path | None:
    """The parts of a dotted path.

    >>> path_of("a.b"), path_of(None)
    (('a', 'b'), None)
    """
    return tuple(text.split(".")) if text else None


def part(body: Any, path: Path) -> Any:
    """The part of the body that the path leads to.

    >>> part({"a": {"b": 7}}, ("a", "b"))
    7
    >>> part({"a": {"x": 1, "y": 2}}, ("a", "b"))
    Traceback (most recent call last):
    nbgraph.errors.PathError: input_path "a.b" finds no "b"; at "a" there are: x, y
    """
    found = body
    for depth, name in enumerate(path):
        try:
            found = found[int(name)] if isinstance(found, list | tuple) else found[name]
        except (KeyError, IndexError, TypeError, ValueError):
            raise _missing(path, depth, found) from None
    return found


def put(body: Any, path: Path, value: Any) -> Any:
    """The body with the value at the path; missing dicts on the path are created; the body itself is not changed.

    >>> before = {"a": {"x": 1}}
    >>> put(before, ("a", "b"), 2), before
    ({'a': {'x': 1, 'b': 2}}, {'a': {'x': 1}})
    >>> put(None, ("c", "d"), 1)
    {'c': {'d': 1}}
    """
    if body is None:
        body = {}
    if not isinstance(body, Mapping):
        raise PathError(
            f'result_path "{".".join(path)}" needs a body that is a dict, but "{path[0]}" would go into a '
            f"{type(body).__name__}; leave result_path out, or let the step before return a dict."
        )
    name, *rest = path
    return {**body, name: put(body.get(name), tuple(rest), value) if rest else value}


def on_part(
    function: Callable[[Event], Any], input_path: Path | None, result_path: Path | None, *, is_async: bool
) -> Callable[[Event], Any]:
    """A built-in step that takes Events (a model, a router), for a part of the body, or with its result put into it.

    >>> def double(event):
    ...     return event.with_body(event.body * 2)
    >>> on_part(double, ("a",), ("b",), is_async=False)(Event({"a": 2})).body
    {'a': 2, 'b': 4}
    """

    def inner(event: Event) -> Event:
        return event.with_body(part(event.body, input_path) if input_path else event.body)

    def outer(event: Event, given: Event, result: Event | None) -> Event:
        found = given if result is None else result
        return event.with_body(put(event.body, result_path, found.body)) if result_path else found

    def call(event: Event) -> Event:
        given = inner(event)
        return outer(event, given, function(given))

    async def acall(event: Event) -> Event:
        given = inner(event)
        return outer(event, given, await function(given))

    return acall if is_async else call


def _missing(path: Path, depth: int, found: Any) -> PathError:
    at = f'at "{".".join(path[:depth])}"' if depth else "in the body"
    if isinstance(found, Mapping):
        there = f"{at} there are: {', '.join(map(str, found)) or 'no keys'}"
    elif isinstance(found, list | tuple):
        there = f"{at} there is a {type(found).__name__} of {len(found)} items"
    else:
        there = f"{at} there is a {type(found).__name__}, which has no parts"
    return PathError(f'input_path "{".".join(path)}" finds no "{path[depth]}"; {there}')
