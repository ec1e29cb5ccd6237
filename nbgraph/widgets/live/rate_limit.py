"""Rate limits: calls at most so often, previews within a share of the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import TypeVar

LINGER = 2.0  # seconds that an idle thread waits for a request before it ends
SHARE, ADVANCE = (
    0.05,
    0.05,
)  # of the time that previews may take; seconds that each value has in advance
T = TypeVar("T")


class Throttle:
    """Calls a function on a thread of its own soon after a request, but not more often than once a period.

    The function may return after how many seconds it is to be called again without a request.

    >>> calls = []
    >>> throttle = Throttle(lambda: calls.append(1), 0.01)
    >>> for _ in range(1000): throttle.request()
    >>> _ = throttle.flush()
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
        """Have the function called soon; it costs a microsecond, so a graph's thread can do it at each step."""
        if self._wanted.is_set():
            return
        with self._lock:
            self._idle.clear()
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nbgraph-throttle", daemon=True)
                self._thread.start()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all requests have led to a call."""
        return self._idle.wait(timeout)

    def _loop(self) -> None:
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
        with self._lock:  # no request may come between this check and the end of the thread
            if not self._wanted.is_set():
                self._thread = None
            return self._thread is not None


class TimeBudget:
    """Makes things for several owners while they take no more than a share of the time, each of them its part of that.

    What counts is the time of the processor, since others may have it for longer.

    >>> def long():
    ...     began = time.thread_time()
    ...     while time.thread_time() - began < 0.2: pass
    ...     return "long"
    >>> budget = TimeBudget()
    >>> [budget.spend_on(owner, make) for owner, make in (("a", long), ("a", len), ("b", lambda: "its own"))]
    ['long', None, 'its own']
    """

    def __init__(self) -> None:
        self._left: dict[Hashable, float] = {}  # of each owner's seconds
        self._filled: dict[Hashable, float] = {}

    def fill(self) -> None:
        """Give every owner all that it may have in advance."""
        self._left.clear()

    def spend_on(self, owner: Hashable, make: Callable[[], T]) -> T | None:
        """The result of `make`; None where no time is left."""
        now = time.monotonic()
        gained = (now - self._filled.get(owner, now)) * SHARE / max(1, len(self._filled))
        left = min(ADVANCE, self._left.get(owner, ADVANCE) + gained)
        self._filled[owner] = now
        if left > 0:
            began = time.thread_time()
            made = make()
            self._left[owner] = left - (time.thread_time() - began)
            return made
        self._left[owner] = left
        return None
