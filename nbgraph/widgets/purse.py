"""Purse: the time that previews of values may take while a graph runs: a twentieth of it, with some in advance."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SHARE, ADVANCE = 0.05, 0.05  # of the time; seconds


class Purse:
    """Makes a thing if there is time for it.

    >>> purse = Purse()
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
