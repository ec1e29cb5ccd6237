"""Channel: a bounded buffer for the items of an async iterator between the loop thread and a reader."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from nbgraph.engine import loop

T = TypeVar("T")
AHEAD = 64  # items buffered in a channel
PATIENCE = 1.0  # seconds to close the source when the reader leaves


class _End:
    """The end of the items; `error` if the source failed."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def tell(self) -> None:
        if self.error is not None:
            raise self.error


_Parcel = list[Any] | _End


def iterate(source: AsyncGenerator[list[T], None]) -> Iterator[T]:
    """The items that an async iterator on the loop thread gives in lists, about `AHEAD` of them ahead of the reader."""
    channel = _ThreadChannel()
    thread = loop.responsive()
    thread.submit(channel.pump(source))
    try:
        while not isinstance(parcel := channel.get(), _End):
            yield from parcel
        parcel.tell()
    finally:
        channel.leave()
        loop.release(thread)


async def aiterate(source: AsyncGenerator[list[T], None]) -> AsyncGenerator[T, None]:
    """As `iterate`, for a reader that is itself on an event loop."""
    channel = _LoopChannel()
    thread = await loop.on_thread(loop.responsive)
    thread.submit(channel.pump(source))
    try:
        while not isinstance(parcel := await channel.get(), _End):
            for item in parcel:
                yield item
        parcel.tell()
    finally:
        await channel.leave()
        loop.release(thread)


class _Channel:
    """The sender's side. Items of one loop iteration travel as one parcel, since waking the reader is expensive."""

    def __init__(self) -> None:
        self._packing: list[Any] = []
        self._sent = self._taken = 0
        self._sender: asyncio.AbstractEventLoop | None = None
        self._has_room: asyncio.Event | None = None  # while the sender waits for room
        self._pumping: asyncio.Task[Any] | None = None
        self._is_left = self._is_over = False

    async def pump(self, source: AsyncGenerator[list[Any], None]) -> None:
        self._sender, self._pumping = asyncio.get_running_loop(), asyncio.current_task()
        end = _End()
        try:
            async with aclosing(source):
                try:
                    async for items in source:
                        if self._is_left:
                            break
                        await self._room()
                        self._pack(items)
                finally:
                    self._pumping = None  # now it closes, which must not be cancelled
        except BaseException as error:
            end = _End(error)
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        finally:
            self._send()
            self._deliver(end)

    def _break_off(self) -> None:
        """Cancel sending: the reader has left."""
        self._is_left = True
        if self._sender is not None:  # else it finds out when it starts
            with contextlib.suppress(RuntimeError):  # its loop is closed
                self._sender.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()

    def _pack(self, items: list[Any]) -> None:
        assert self._sender is not None
        if items and not self._packing:
            self._sender.call_soon(self._send)
        self._packing += items

    def _send(self) -> None:
        packed, self._packing = self._packing, []
        if packed:
            self._sent += len(packed)
            self._deliver(packed)

    def _deliver(self, parcel: _Parcel) -> None:
        raise NotImplementedError

    def _size(self) -> int:
        return self._sent + len(self._packing) - self._taken

    async def _room(self) -> None:
        while self._size() >= AHEAD:
            waiting = self._has_room = asyncio.Event()
            if self._size() >= AHEAD:  # the reader may have taken some before this wait was visible to it
                await waiting.wait()

    def _took(self, parcel: _Parcel) -> None:
        """Called by the reader after taking: wakes a waiting sender."""
        if isinstance(parcel, _End):
            self._is_over = True
            return
        self._taken += len(parcel)
        waiting, self._has_room = self._has_room, None
        if waiting is not None and self._sender is not None:
            self._sender.call_soon_threadsafe(waiting.set)


class _ThreadChannel(_Channel):
    """A channel from the loop to a thread."""

    def __init__(self) -> None:
        super().__init__()
        self._parcels: SimpleQueue[_Parcel] = SimpleQueue()

    def get(self) -> _Parcel:
        parcel = self._parcels.get()
        self._took(parcel)
        return parcel

    def leave(self) -> None:
        """Stop reading; return when the source is closed, or after a timeout."""
        if self._is_over:
            return
        self._break_off()
        if _running() is self._sender:  # called by the garbage collector on the sender's thread
            return
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(Empty):
            while not isinstance(self._parcels.get(timeout=max(deadline - time.monotonic(), 0)), _End):
                pass

    def _deliver(self, parcel: _Parcel) -> None:
        self._parcels.put(parcel)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _LoopChannel(_Channel):
    """A channel from the loop to another loop."""

    def __init__(self) -> None:
        super().__init__()
        self._parcels: deque[_Parcel] = deque()
        self._reader = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._is_waiting = False

    async def leave(self) -> None:
        if self._is_over:
            return
        self._break_off()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not isinstance(await self.get(), _End):
                    pass

    async def get(self) -> _Parcel:
        while not self._parcels:
            self._came.clear()
            self._is_waiting = True
            if not self._parcels:  # one may have come before this wait was visible to the sender
                await self._came.wait()
        self._is_waiting = False
        parcel = self._parcels.popleft()
        self._took(parcel)
        return parcel

    def _deliver(self, parcel: _Parcel) -> None:
        self._parcels.append(parcel)
        if self._is_waiting and not self._reader.is_closed():
            self._reader.call_soon_threadsafe(self._came.set)
