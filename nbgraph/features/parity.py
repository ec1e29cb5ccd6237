"""Parity: the same questions offline and online, side by side."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbgraph.features.online.advance import keyed_lines
from nbgraph.features.online.record import TAIL, Advance, KeyMetadata, Line, Record, Stored
from nbgraph.features.online.serving import features as online_features
from nbgraph.features.online.sqlite import SqliteOnline
from nbgraph.values import is_missing

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.vector import FeatureVector

CLOSE = 1e-9  # sums of floats that are added up in another order differ by no more of themselves


def parity(vector: FeatureVector, rows: Any, time: Any, before: bool) -> Any:
    """See `FeatureVector.parity`."""
    import pandas as pd

    from nbgraph.features.offline.answer import features
    from nbgraph.features.offline.moments import Moments

    moments = Moments(rows)
    bodies = moments.bodies()
    offline = features(vector, moments, time, before=before).to_dicts()
    at = moments.moments(time).to_list()
    replay = Replay([part.set for part in vector.selection.parts], before)
    online: list[dict[str, Any]] = [{}] * len(bodies)
    for place in sorted(range(len(bodies)), key=at.__getitem__):
        replay.moment = at[place]
        online[place] = online_features(vector.name, vector.selection, replay, [bodies[place]], [at[place]], before)[0]
    if vector.graph is not None:
        from nbgraph.features.derive import derived

        offline = [derived(vector, *each) for each in zip(bodies, offline, strict=True)]
        online = [derived(vector, *each) for each in zip(bodies, online, strict=True)]
    found = [
        (_key(vector, body), _time(moment), name, one.get(name), other.get(name))
        for body, moment, one, other in zip(bodies, at, offline, online, strict=True)
        for name in dict.fromkeys([*one, *other])
    ]
    frame = pd.DataFrame(found, columns=["key", "time", "feature", "offline", "online"]).astype(
        {"offline": object, "online": object}
    )
    return frame.assign(equal=[is_equal(one, other) for *_, one, other in found])


def is_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; missing ones are.

    >>> is_equal(None, float("nan")), is_equal(18, 18.0), is_equal(0.1 + 0.2, 0.3), is_equal(1, 2)
    (True, True, True, False)
    """
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=1e-12)
    return bool(one == other)


def _key(vector: FeatureVector, body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in vector.keys}


def _time(moment: int) -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)


class Replay:
    """An online store that was empty, into which the rows of sets come as their moments do."""

    def __init__(self, sets: Sequence[FeatureSet], before: bool) -> None:
        self._store = SqliteOnline(":memory:")
        self._sets = {set.id: set for set in sets}
        self._lines: dict[str, dict[str, list[Line]]] = {id: keyed_lines(set) for id, set in self._sets.items()}
        self._through: dict[tuple[str, str], int] = {}
        self._until = bisect_left if before else bisect_right
        self.moment = 0

    def read(self, name: str, keys: Sequence[str]) -> list[Stored]:
        """The records of keys as they are at the moment."""
        for key in keys:
            self._come(name, key)
        return self._store.read(name, keys)

    def _come(self, name: str, key: str) -> None:
        """The rows of a key that have come by the moment go into its record."""
        lines = self._lines[name].get(key, [])
        since = self._through.get((name, key), 0)
        until = self._until(lines, self.moment, key=lambda line: line[0]) if self._sets[name].time else len(lines)
        if until <= since:
            return
        windowing = self._sets[name].windowing
        record = Record.unpacked(self._store.read(name, [key])[0][0])
        windowing.grow(record, lines[since:until], TAIL)
        about = self._store.about(name)
        self._store.advance(name, about, Advance(KeyMetadata(0, 0, {}), {key: windowing.packed(record)}))
        self._through[name, key] = until
