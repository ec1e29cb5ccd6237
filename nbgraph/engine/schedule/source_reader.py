"""SourceReader: reads a source without blocking the event loop; SourceCommit: which of its events are done."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.sources.base import Source

NOT_YET: Any = object()
END: Any = object()
AHEAD = 64  # items read ahead
PATIENCE = 0.5  # seconds for a source to end
_logger = logging.getLogger("nbgraph.run")


class SourceReader:
    """Items to take one by one; `happened` is set when there may be one after there was none.

    >>> async def drawn():
    ...     reader = SourceReader(iter("ab"))
    ...     return [await reader.next(), await reader.next(), await reader.next() is END]
    >>> asyncio.run(drawn())
    ['a', 'b', True]

    This one reads directly from an iterator, which must not block.
    """

    def __init__(self, source: Iterator[Any]) -> None:
        self.happened = asyncio.Event()
        self._source = source

    def open(self) -> None:
        """Begin to read; called on the consuming loop."""

    def take(self) -> Any:
        """The next item, `NOT_YET`, or `END`; raises what the source raised."""
        return next(self._source, END)

    async def next(self) -> Any:
        """Await the next item, or `END`."""
        while (item := self.take()) is NOT_YET:
            await self.happened.wait()
            self.happened.clear()
        return item

    async def close(self) -> None:
        """Stop reading; a generator is closed as soon as nobody reads it."""


class _Buffered(SourceReader):
    """Items that another thread reads."""

    def __init__(self) -> None:
        self.happened = asyncio.Event()
        self._items: deque[tuple[Any, BaseException | None]] = deque()
        self._is_waiting = self._is_closed = self._is_over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    def take(self) -> Any:
        if not self._items:
            self._is_waiting = True
            if not self._items:  # one may have come before this wait was visible to the reader
                return NOT_YET
        self._is_waiting = False
        item, error = self._items.popleft()
        self._taken()
        if error is not None:
            raise error
        return item

    async def close(self) -> None:
        self._is_closed = True
        self._stop()
        if self._is_over:
            return
        with contextlib.suppress(TimeoutError):  # a busy source is closed after its current item
            await asyncio.wait_for(self._ended.wait(), PATIENCE)

    def _stop(self) -> None:
        """Tell the reading side to stop."""

    def _end(self) -> None:
        """Called when the source is closed."""
        self._is_over = True
        self._tell(self._ended)

    def _taken(self) -> None:
        """Called when an item was taken."""

    def _put(self, item: Any, error: BaseException | None = None) -> None:
        self._items.append((item, error))
        if self._is_waiting:
            self._tell(self.happened)

    def _tell(self, event: asyncio.Event) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(event.set)


class ThreadSourceReader(_Buffered):
    """Reads an iterator that may block, on a thread of its own."""

    def __init__(self, source: Iterator[Any], ahead: int = AHEAD) -> None:
        super().__init__()
        self._source = source
        self._room = threading.Semaphore(ahead)

    def open(self) -> None:
        super().open()
        threading.Thread(target=self._read, daemon=True, name="nbgraph-source").start()

    def _stop(self) -> None:
        self._room.release()

    def _taken(self) -> None:
        self._room.release()

    def _read(self) -> None:
        try:
            while self._room.acquire() and not self._is_closed:
                item = next(self._source, END)
                self._put(item)
                if item is END:
                    return
        except BaseException as error:
            self._put(END, error)
        finally:
            self._close_source()

    def _close_source(self) -> None:
        """Close the source on its reading thread: a running generator can't be closed elsewhere."""
        try:
            if isinstance(self._source, Generator):
                self._source.close()
        except Exception:
            _logger.exception("A stream's source failed when it was closed")
        finally:
            self._end()


class LoopSourceReader(_Buffered):
    """Reads an async iterator on the loop of the caller, which it belongs to."""

    def __init__(self, source: AsyncIterator[Any]) -> None:
        super().__init__()
        self._iterator = source
        self._room = asyncio.Semaphore(AHEAD)
        self._home = asyncio.get_running_loop()
        self._reading = self._home.create_task(self._read())

    def _stop(self) -> None:
        try:
            self._home.call_soon_threadsafe(self._reading.cancel)
        except RuntimeError:  # the caller's loop is closed
            self._end()

    def _taken(self) -> None:
        if not self._home.is_closed():
            self._home.call_soon_threadsafe(self._room.release)

    async def _read(self) -> None:
        try:
            async for item in self._iterator:
                await self._room.acquire()
                self._put(item)
            self._put(END)
        except Exception as error:
            self._put(END, error)
        finally:
            try:
                if isinstance(self._iterator, AsyncGenerator):
                    await self._iterator.aclose()
            except Exception:
                _logger.exception("A stream's source failed when it was closed")
            finally:
                self._end()


class SourceCommit:
    """The events of a source; an event is committed once it and all before it are done and no step holds any.

    `waiting` are the events that are not committed yet, in order; `done` are the ids of the finished ones among them.
    """

    def __init__(self, source: Source, plan: Plan, *, is_one_by_one: bool) -> None:
        self._source = source
        self._is_one_by_one = is_one_by_one
        self._waiting: deque[Event] = deque()
        self._done: set[str] = set()
        self._last: Event | None = None
        targets = [step.call.target for step in plan.steps.values()]
        self._holders = [target for target in targets if isinstance(target, Handler) and _may_hold(type(target))]

    def __iter__(self) -> Iterator[Event]:
        for event in self._source:
            self._waiting.append(event)
            yield event
            if self._is_one_by_one:  # asking for the next event means that this one is done
                self.through(event)

    def through(self, event: Event) -> None:
        """Mark an event as done."""
        self._done.add(event.id)
        while self._waiting and self._waiting[0].id in self._done:
            self._last = self._waiting.popleft()
            self._done.discard(self._last.id)
        if self._last is not None and not any(holder.holding() for holder in self._holders):
            self.end()

    def end(self) -> None:
        """Commit all: nothing is held back any more."""
        if self._last is not None:
            self._source.commit(self._last)
            self._last = None


def commit_of(source: object, plan: Plan, *, is_one_by_one: bool) -> SourceCommit | None:
    """The SourceCommit of a source; None if it does not need commits."""
    if isinstance(source, Source) and type(source).commit is not Source.commit:
        return SourceCommit(source, plan, is_one_by_one=is_one_by_one)
    return None


def _may_hold(kind: type[Handler]) -> bool:
    return kind.holding is not Handler.holding
