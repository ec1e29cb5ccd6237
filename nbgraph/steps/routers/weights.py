"""Shares: which route an event takes, so that each gets its share and equal keys take the same one."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from zlib import crc32

from nbgraph.errors import GraphError
from nbgraph.event import Event


def normalised(router: str, weights: Mapping[str, float], routes: Iterable[str]) -> dict[str, float]:
    """Weights of known routes that add up to 1.

    >>> normalised("vote", {"a": 1, "b": 3}, ["a", "b"])
    {'a': 0.25, 'b': 0.75}
    """
    known = list(routes)
    for name, weight in weights.items():
        if known and name not in known:
            raise GraphError(
                f'Router "{router}" has a weight for "{name}", which is no route; routes: {", ".join(known)}.'
            )
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise GraphError(f'Router "{router}" has weight {weight!r} for "{name}"; expected a number from 0.')
    total = math.fsum(weights.values())
    if total <= 0:
        raise GraphError(f'The weights of router "{router}" add up to {total:g}; at least one must be above 0.')
    return {name: weight / total for name, weight in weights.items()}


def lot(event: Event, salt: str = "") -> float:
    """A number from 0 to 1 for the event's key, else its id; evenly spread, the same in every process."""
    drawn = event.id if event.key is None else repr(event.key)
    return crc32(f"{salt}{drawn}".encode("utf-8", "replace")) / 2**32


class RouteWeights:
    """The route of an event.

    >>> shares = RouteWeights("models", {"m1": 9, "m2": 1}, ["m1", "m2"])
    >>> [shares.of(Event(None, key=key)) for key in ("a", "a")] in (["m1"] * 2, ["m2"] * 2)
    True
    """

    def __init__(self, router: str, weights: Mapping[str, float], routes: Iterable[str]) -> None:
        given = {name: weight for name, weight in normalised(router, weights, routes).items() if weight > 0}
        self._names = list(given)
        self._bounds = list(accumulate(given.values()))[:-1]

    def of(self, event: Event) -> str:
        return self._names[bisect_right(self._bounds, lot(event))]
