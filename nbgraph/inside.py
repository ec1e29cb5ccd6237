"""Inside: what a step that calls others, as a router its routes, tells of those calls to whoever watches the step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
Left = Callable[[Any, BaseException | None], None]  # told the result, or the error, when the call is over
Entered = Callable[[str, Any], Left]  # told the name of what is called, and with what

_watching: ContextVar[tuple[str, tuple[Entered, ...]]] = ContextVar("nbgraph_inside", default=("", ()))


def is_watched() -> bool:
    """Whether somebody wants to be told; then a short cut that skips the calls must not be taken."""
    return bool(_watching.get()[1])


class Watched:
    """Lets the calls that are made within be told to these listeners.

    >>> import asyncio
    >>> calls = []
    >>> def entered(name, input):
    ...     return lambda output, error: calls.append((name, input, output))
    >>> with Watched((entered,)):
    ...     asyncio.run(told("m1", 2, asyncio.sleep(0, 4)))
    4
    >>> calls
    [('m1', 2, 4)]
    """

    __slots__ = ("_listeners", "_token")

    def __init__(self, listeners: tuple[Entered, ...]) -> None:
        self._listeners = listeners

    def __enter__(self) -> None:
        self._token = _watching.set(("", self._listeners))

    def __exit__(self, *error: object) -> None:
        _watching.reset(self._token)


async def told(name: str, input: Any, call: Awaitable[T]) -> T:
    """The result of a call, which whoever watches is told of; calls inside of it have its name before theirs."""
    path, listeners = _watching.get()
    if not listeners:
        return await call
    leaving = [entered(f"{path}{name}", input) for entered in listeners]
    token = _watching.set((f"{path}{name}/", listeners))
    try:
        result = await call
    except BaseException as error:
        for left in leaving:
            left(None, error)
        raise
    finally:
        _watching.reset(token)
    for left in leaving:
        left(result, None)
    return result
