"""Segments: windows of an edge are counted apart for each of the most frequent values of a field, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nbgraph.errors import NbgraphError
from nbgraph.monitor.counting.tally import EdgeCounts, EdgeTally, Kept
from nbgraph.monitor.profile import Profile
from nbgraph.monitor.statistics.bins import FieldKind

MARK = " | "  # behind an edge, before the field and its value
MOST = 20  # values that are counted apart; all others together
OTHER = "other"


class SegmentTally:
    """What went along one edge in its open window, by the values that a class of the baseline has.

    >>> from nbgraph import Event
    >>> from nbgraph.monitor.statistics.field_profile import FieldProfile
    >>> tally = SegmentTally(Profile("a -> b", {"country": FieldProfile.of(["NL", "DE"])}, 2), ["country"])
    >>> tally.add([({"country": name}, Event(None)) for name in ("NL", "NL", "XX")])
    >>> [(window.edge, window.events) for window in tally.close(0.0, 60.0)]
    [('a -> b | country=NL', 2), ('a -> b | country=other', 1)]
    """

    def __init__(self, base: Profile, segments: Iterable[str]) -> None:
        self._base = base
        self._values = {
            name: {value for value, _ in base[name].top[:MOST]}
            for name in segments
            if name in base and base[name].bins.kind is FieldKind.CLASS
        }
        self._tallies: dict[str, EdgeTally] = {}

    def add(self, block: Sequence[Kept]) -> None:
        """Count bodies; those without the field are in no segment."""
        for name, values in self._values.items():
            parts: dict[str, list[Kept]] = {}
            for kept in block:
                if isinstance(kept[0], Mapping) and kept[0].get(name) is not None:
                    value = str(kept[0][name])
                    parts.setdefault(value if value in values else OTHER, []).append(kept)
            for value, part in parts.items():
                self._tally(name, value).add(part)

    def close(self, start: float, end: float) -> list[EdgeCounts]:
        """The windows, which end."""
        return [tally.close(start, end) for tally in self._tallies.values() if tally.events]

    def _tally(self, name: str, value: str) -> EdgeTally:
        edge = f"{self._base.edge}{MARK}{name}={value}"
        if edge not in self._tallies:
            self._tallies[edge] = EdgeTally(Profile(edge, self._base.fields, self._base.events))
        return self._tallies[edge]


def windows_of(
    windows: Sequence[EdgeCounts], segment: Mapping[str, Any] | None, segments: Sequence[str]
) -> list[EdgeCounts]:
    """The windows of a segment, under the names of their edges; None: those of all events."""
    if segment is None:
        return [window for window in windows if MARK not in window.edge]
    if len(segment) != 1 or not set(segment) <= set(segments):
        known = ", ".join(segments) or "none; graph.monitor(..., segments=[...])"
        raise NbgraphError(f"segment={dict(segment)} can't be told; expected one field of the monitor's: {known}.")
    ((name, value),) = segment.items()
    found = [window for window in windows if window.edge.endswith(f"{MARK}{name}={value}")]
    apart = {window.edge.partition(f"{MARK}{name}=")[2] for window in windows} - {""}
    if apart and not found:
        raise NbgraphError(f"{name}={value!r} is not counted apart; those that came: {', '.join(sorted(apart))}.")
    return [msgspec.structs.replace(window, edge=window.edge.partition(MARK)[0]) for window in found]
