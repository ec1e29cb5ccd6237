"""Interrupt: the notebook's own interrupt reaches a debugged step, although no cell runs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class KernelInterrupt:
    """While it listens, SIGINT is handed on. Between two messages a kernel ignores it, as nothing seems to run."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = 0  # moves that are under way, or wait
        self._before: Any = None

    def listen(self) -> None:
        """From the kernel's thread, where its loop runs; elsewhere Ctrl-C is whoever's it was."""
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._wanted += 1
        self._loop.call_soon(self._take)  # after the message: at its end the kernel puts its own handler back

    def ignore(self) -> None:
        """From any thread: a move is over; with the last one it is given back."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._give_back)

    def _take(self) -> None:
        if signal.getsignal(signal.SIGINT) != self._handle:
            self._before = signal.signal(signal.SIGINT, self._handle)

    def _give_back(self) -> None:
        self._wanted = max(0, self._wanted - 1)
        if not self._wanted and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._act()
