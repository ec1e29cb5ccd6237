"""Inside: what a step that calls others, as a router its routes, tells of those calls to whoever watches the step."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Instead:
    """What a listener answers to put a value, or an error, in the place of the call, which then is not made."""

    value: Any
    error: BaseException | None = None


Left = Callable[[Any, BaseException | None], None]  # told the result, or the error, when the call is over
Entered = Callable[[str, Any], Left | Instead]  # told what is called, with what; may raise to end it all

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


class Call:
    """A call that is due: whoever watches has been told of it; calls inside of it have its name before theirs.

    Where a listener has an answer of its own (`instead`), the call is not to be made.
    """

    __slots__ = ("_leaving", "_watching", "instead")

    def __init__(self, name: str, input: Any) -> None:
        path, listeners = _watching.get()
        answers = [entered(f"{path}{name}", input) for entered in listeners]
        self._leaving = [one for one in answers if not isinstance(one, Instead)]
        self.instead = next((one for one in answers if isinstance(one, Instead)), None)
        self._watching = f"{path}{name}/", listeners

    async def over(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of the call, or what stands in for it."""
        try:
            result = await self._made(call)
        except BaseException as error:
            for left in self._leaving:
                left(None, error)
            raise
        for left in self._leaving:
            left(result, None)
        return result

    async def _made(self, call: Coroutine[Any, Any, T]) -> T:
        if self.instead is not None:
            call.close()
            if self.instead.error is not None:
                raise self.instead.error
            return self.instead.value  # type: ignore[no-any-return]
        token = _watching.set(self._watching)
        try:
            return await call
        finally:
            _watching.reset(token)


async def told(name: str, input: Any, call: Coroutine[Any, Any, T]) -> T:
    """The result of a call, which whoever watches is told of."""
    if not is_watched():
        return await call
    try:
        due = Call(name, input)
    except BaseException:
        call.close()
        raise
    return await due.over(call)
