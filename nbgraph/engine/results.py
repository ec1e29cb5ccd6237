"""Results: the results of a step that gives several, one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

from nbgraph.errors import own

Copy = Callable[[Any], Any]
Caller = Callable[..., Any]  # makes a call of the function that it gets, with the arguments behind it


class Results:
    """Results drawn one by one; with `copy` they are kept and given as copies, so that a debugger may step back.

    `caller` draws them, if they are not drawn on this thread.
    """

    def __init__(self, results: Any, copy: Copy | None, caller: Caller | None = None) -> None:
        self.is_ready = isinstance(results, list | tuple)  # complete: drawing runs no code of the step
        self._iterator = results if isinstance(results, AsyncIterator) else iter(results)
        self._kept: list[Any] = []
        self._copy, self._caller = copy, caller
        self._error: BaseException | None = None

    async def at(self, index: int) -> Any:
        """The result of that index; StopAsyncIteration after the last."""
        if self._copy is None:
            return await self._draw()
        await self._remember(index)
        return self._copy(self._kept[index])

    async def is_at_end(self, index: int) -> bool:
        """Whether there is no result of that index, which is drawn to find out. An error counts as a result."""
        try:
            await self._remember(index)
        except StopAsyncIteration:
            return True
        except own() as error:
            self._error = error
        return False

    async def close(self) -> None:
        """Close the generator: no further result is drawn."""
        if isinstance(self._iterator, AsyncGenerator):
            await self._iterator.aclose()
        elif isinstance(self._iterator, Generator):
            self._iterator.close()

    async def _remember(self, index: int) -> None:
        if index == len(self._kept):
            if self._error is not None:
                raise self._error
            self._kept.append(await self._draw())

    async def _draw(self) -> Any:
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator)
        return _next(self._iterator) if self._caller is None else self._caller(_next, self._iterator)


class FailedResult:
    """Stands for the error of a release, which is raised where the result is drawn."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Iterator[Any]:
        raise self.error
        yield


def caught_release(release: Callable[[], Iterable[Any]]) -> Callable[[], Iterator[Any]]:
    """The events that a step releases, one by one; if that fails, `FailedResult` is the last.

    >>> [str(chunk.error) for chunk in caught_release(lambda: 1 / 0)()]
    ['division by zero']
    """

    def chunks() -> Iterator[Any]:
        held: Iterator[Any] | None = None
        while True:
            try:
                held = iter(release()) if held is None else held
                chunk = next(held)
            except StopIteration:
                return
            except own() as error:
                yield FailedResult(error)
                return
            yield chunk

    return chunks


def _next(iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise StopAsyncIteration from None
