"""MonitorReport: what a worker tells of a watched graph; who asks several adds up what they tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from nbgraph.monitor.counting.tally import EdgeCounts

PredictionRow = tuple[str, str, float, Any, str, str, dict[str, Any], Any, bool]


class MonitorReport(msgspec.Struct, frozen=True):
    """`journal` tells where it was kept: workers that share a journal tell the same."""

    journal: str
    baseline: bytes | None
    windows: list[EdgeCounts] = []
    alerts: list[dict[str, Any]] = []
    predictions: list[PredictionRow] = []
    monitor: dict[str, Any] = {}  # what is watched, without the baseline

    def to_bytes(self) -> bytes:
        """As it is told."""
        return msgspec.msgpack.encode(self)


_DECODER = msgspec.msgpack.Decoder(MonitorReport)


def reports_of(told: Iterable[bytes]) -> list[MonitorReport]:
    """Reports, each journal's once."""
    found = (_DECODER.decode(content) for content in told if content)
    return list({report.journal: report for report in found}.values())
