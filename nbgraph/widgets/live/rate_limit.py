"""Pulse: calls a function on a thread of its own after it was asked to, but not more often than a rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

LINGER = 2.0  # seconds the thread waits for more before it ends


class Throttle:
    """Many requests, few calls: what lies between two calls is gathered by the caller.

    What the call returns are the seconds after which it wants to be made again unasked.

    >>> calls = []
    >>> pulse = Throttle(lambda: calls.append(1), 0.01)
    >>> for _ in range(1000): pulse.request()
    >>> _ = pulse.settle()
    >>> 1 <= len(calls) <= 3
    True
    """

    def __init__(self, call: Callable[[], float | None], period: float) -> None:
        self._call = call
        self._period = period
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def request(self) -> None:
        """Have the function called soon; costs a microsecond, so the thread that runs a graph can ask at each step."""
        if self._wanted.is_set():
            return
        with self._lock:
            self._idle.clear()
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="nbgraph-pulse", daemon=True)
                self._thread.start()

    def settle(self, timeout: float = 5.0) -> bool:
        """Wait until what was requested has been done."""
        return self._idle.wait(timeout)

    def _beat(self) -> None:
        while self._is_wanted():
            self._wanted.clear()
            began = time.monotonic()
            again = self._call()
            with self._lock:
                if not self._wanted.is_set():
                    self._idle.set()
            time.sleep(max(0.0, self._period - (time.monotonic() - began)))
            if again is not None and not self._wanted.wait(again):
                self._wanted.set()

    def _is_wanted(self) -> bool:
        if self._wanted.wait(LINGER):
            return True
        with self._lock:  # nobody may ask between the last look and the end of the thread
            if not self._wanted.is_set():
                self._thread = None
            return self._thread is not None


# Purse: the time that previews of values may take while a graph runs: a twentieth of it, with some in advance.


T = TypeVar("T")
SHARE, ADVANCE = 0.05, 0.05  # of the time; seconds


class TimeBudget:
    """Makes a thing if there is time for it.

    >>> purse = TimeBudget()
    >>> purse.pay(lambda: "made"), purse.pay(lambda: time.sleep(0.06)), purse.pay(lambda: "no time left")
    ('made', None, None)
    """

    def __init__(self) -> None:
        self._left, self._filled = ADVANCE, time.monotonic()

    def pay(self, make: Callable[[], T]) -> T | None:
        """What is made; None where there is no time."""
        began = time.monotonic()
        self._left = min(ADVANCE, self._left + (began - self._filled) * SHARE)
        self._filled = began
        if self._left <= 0:
            return None
        made = make()
        self._left -= time.monotonic() - began
        return made
