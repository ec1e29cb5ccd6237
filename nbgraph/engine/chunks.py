"""Chunks: the results of a step that makes several."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from typing import Any

from nbgraph.fault import own


class Chunks:
    """Results drawn one by one and, while somebody may go back, remembered."""

    def __init__(self, results: Any, is_kept: bool) -> None:
        self.is_ready = isinstance(results, list | tuple)  # all there: drawing runs no code of the step
        self._iterator = results if isinstance(results, AsyncIterator) else iter(results)
        self._kept: list[Any] | None = [] if is_kept else None
        self._error: BaseException | None = None

    async def at(self, index: int) -> Any:
        """The result of that index; StopAsyncIteration after the last."""
        if self._kept is None:
            return await self._draw()
        if index == len(self._kept):
            if self._error is not None:
                raise self._error
            self._kept.append(await self._draw())
        return _copied(self._kept[index])

    async def is_at_end(self, index: int) -> bool:
        """Whether there is no result of that index; it is drawn to know that. An error counts as a result."""
        try:
            await self.at(index)
        except StopAsyncIteration:
            return True
        except own() as error:
            self._error = error
        return False

    async def _draw(self) -> Any:
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator)
        return _next(self._iterator)


def _copied(chunk: Any) -> Any:
    try:
        return copy.deepcopy(chunk)
    except Exception:
        return chunk  # it can't be copied: going back finds it as it is now


def _next(iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise StopAsyncIteration from None
