"""A Channel: a bounded way for the items of an async iterator from the loop thread to whoever reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, TypeVar

from nbgraph.engine import loop

T = TypeVar("T")
AHEAD = 64  # items that may wait in a channel
_Item = tuple[bool, Any]  # whether it is an item; else the error at the end, None where there was none


def iterate(source: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of an async iterator that runs on the loop thread, at most `AHEAD` of them ahead of the reader."""
    channel = _Channel()
    thread = loop.responsive()
    pumping = thread.submit(channel.pump(source))
    try:
        while True:
            is_item, value = channel.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        pumping.cancel()
        loop.release(thread)


async def aiterate(source: AsyncGenerator[T, None]) -> AsyncIterator[T]:
    """As `iterate`, for a reader that is itself on an event loop."""
    channel = _LoopChannel()
    thread = await loop.on_thread(loop.responsive)
    pumping = thread.submit(channel.pump(source))
    try:
        while True:
            is_item, value = await channel.next()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        pumping.cancel()
        loop.release(thread)


class _Channel:
    """From the loop to a thread that waits for items."""

    def __init__(self) -> None:
        self._parcels: SimpleQueue[list[_Item]] = SimpleQueue()
        self._packing: list[_Item] = []  # what came in this turn of the loop: it travels as one parcel
        self._unpacked: deque[_Item] = deque()
        self._sent = self._taken = 0
        self._sender: asyncio.AbstractEventLoop | None = None
        self._has_room: asyncio.Event | None = None  # while the sender waits for room

    async def pump(self, source: AsyncGenerator[Any, None]) -> None:
        self._sender = asyncio.get_running_loop()
        try:
            async with aclosing(source):
                async for item in source:
                    while self._size() >= AHEAD:
                        await self._room()
                    self._put((True, item))
            self._put((False, None))
        except BaseException as error:
            self._put((False, error))
            if not isinstance(error, Exception):
                raise

    def get(self) -> _Item:
        if not self._unpacked:
            self._unpacked.extend(self._parcels.get())
        self._taken += 1
        self._tell_of_room()
        return self._unpacked.popleft()

    def _put(self, item: _Item) -> None:
        """Waking the reader for each item would cost more than the item did."""
        assert self._sender is not None
        self._sent += 1
        self._packing.append(item)
        if len(self._packing) == 1:
            self._sender.call_soon(self._send)

    def _send(self) -> None:
        packed, self._packing = self._packing, []
        self._parcels.put(packed)

    def _size(self) -> int:
        return self._sent - self._taken

    def _tell_of_room(self) -> None:
        waiting = self._has_room
        if waiting is not None and self._sender is not None:
            self._sender.call_soon_threadsafe(waiting.set)

    async def _room(self) -> None:
        waiting = self._has_room = asyncio.Event()
        if self._size() >= AHEAD:  # the reader may have taken one before it could see that we wait
            await waiting.wait()
        self._has_room = None


class _LoopChannel(_Channel):
    """From the loop to another loop."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived: deque[_Item] = deque()
        self._reader = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._is_waiting = False

    async def next(self) -> _Item:
        while not self._arrived:
            self._came.clear()
            self._is_waiting = True
            if not self._arrived:  # one may have come before the sender could see that we wait
                await self._came.wait()
        self._is_waiting = False
        item = self._arrived.popleft()
        self._tell_of_room()
        return item

    def _put(self, item: _Item) -> None:
        self._arrived.append(item)
        if self._is_waiting and not self._reader.is_closed():
            self._reader.call_soon_threadsafe(self._came.set)

    def _size(self) -> int:
        return len(self._arrived)
