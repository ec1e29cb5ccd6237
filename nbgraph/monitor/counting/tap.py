"""Tap: what goes along an edge, kept for a moment, until it is counted on another thread.

The event's own thread only appends. A later step may change a body in place, so it is a copy that is kept; a body of
plain values is copied at once, without looking at them, as long as the edge has shown no others.
"""

from __future__ import annotations

import random
from typing import Any

from nbgraph.body import IMMUTABLE, Copier
from nbgraph.engine.plan import Tap
from nbgraph.monitor.counting.tally import Kept

MOST = 50_000  # bodies that wait to be counted


class TapBuffer:
    """The bodies of one edge that wait to be counted.

    >>> from nbgraph.event import Event
    >>> buffer = TapBuffer()
    >>> buffer.tap({"x": 1}, Event(None))
    >>> [body for body, _ in buffer.take()], buffer.take()
    ([{'x': 1}], [])
    """

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._copied = Copier()
        self.is_flat = False  # whether all bodies so far were dictionaries of values that nobody can change
        self.dropped = 0
        self.rate = 1.0  # share of the bodies that are looked at, where not whole events are left out
        self.tap = self._tap()

    def _tap(self) -> Tap:
        kept, append, copied, buffer = self._kept, self._kept.append, self._copied, self

        def tap(body: Any, event: Any) -> None:
            if buffer.rate < 1 and random.random() >= buffer.rate:
                return
            if len(kept) >= MOST:
                buffer.dropped += 1
            elif buffer.is_flat and type(body) is dict:
                append((body.copy(), event))
            else:
                append((copied(body), event))

        return tap

    def take(self) -> list[Kept]:
        """What waits, which then waits no more."""
        count = len(self._kept)
        found = self._kept[:count]
        del self._kept[:count]  # what comes meanwhile stands behind it
        if found:
            self.is_flat = all(_is_flat(body) for body, _ in found[-100:])
        return found


def _is_flat(body: Any) -> bool:
    return type(body) is dict and IMMUTABLE.issuperset(map(type, body.values()))
