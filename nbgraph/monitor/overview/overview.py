"""Overview: what a monitor has found, as rows that a terminal and a page show alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from nbgraph.monitor.alert import Alert

LEVELS = "▁▂▃▄▅▆▇█"
MOST = 40  # windows of a sparkline
SHOWN = (
    "predictions", "coverage", "accuracy", "precision", "recall", "auc", "log_loss", "mae", "rmse", "estimated",
)  # fmt: skip


class Watched(Protocol):
    """What is looked at: a deployment, or the monitor of a run in this kernel."""

    def drift(self, since: str = "1h") -> pd.DataFrame: ...

    def quality(self, since: str = "24h", segment: Mapping[str, Any] | None = None) -> pd.DataFrame: ...

    @property
    def alerts(self) -> list[Alert]: ...


class FieldRow(NamedTuple):
    """A field of an edge: its last distance beside its limit, and the distances before."""

    edge: str
    field: str
    state: str
    distance: float
    limit: float
    values: int
    distances: tuple[float, ...]

    @property
    def sparkline(self) -> str:
        """The distances as bars; the limit is at half their height.

        >>> FieldRow("a -> b", "x", "calm", 0.05, 0.1, 500, (0.0, 0.1, 0.2)).sparkline
        '▁▅█'
        """
        whole = 2 * self.limit or 1.0
        return "".join(LEVELS[min(int(value / whole * len(LEVELS)), len(LEVELS) - 1)] for value in self.distances)


@dataclass(frozen=True, slots=True)
class Overview:
    """Fields, the quality of the last window in which something was predicted, and the alerts that stand.

    Parameters
    ----------
    name
        Of the deployment or the graph.
    fields
        What drifts first, then by edge.
    quality
        Numbers by name; what is not known is left out.
    alerts
        The state of each, and a sentence.
    """

    name: str
    fields: Sequence[FieldRow]
    quality: Mapping[str, float]
    alerts: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, name: str, watched: Watched, since: str = "1h") -> Overview:
        """How it is now."""
        fields = sorted(_rows(watched.drift(since)), key=lambda row: row.state != "drifted")
        numbers = watched.quality("24h")
        last = {} if numbers.empty else numbers.iloc[-1].to_dict()
        quality = {key: float(last[key]) for key in SHOWN if key in last and not math.isnan(float(last[key]))}
        alerts = [(str(alert.state), alert.text) for alert in watched.alerts if alert.state != "resolved"]
        return cls(name, fields, quality, alerts)

    @property
    def state(self) -> str:
        """One word for all of it.

        >>> Overview("fraud", [], {}, [("firing", "x")]).state, Overview("fraud", [], {}, []).state
        ('firing', 'calm')
        """
        states = {state for state, _ in self.alerts}
        return next((state for state in ("firing", "pending") if state in states), "calm")


def _rows(frame: pd.DataFrame) -> list[FieldRow]:
    found = []
    for (edge, field), windows in frame.groupby(["edge", "field"], sort=True):
        last = windows.iloc[-1]
        is_beyond = last["distance"] > last["limit"]
        state = "drifted" if last["drifted"] else "beyond its limit" if is_beyond else "calm"
        distances = tuple(float(value) for value in windows["distance"].tail(MOST))
        found.append(
            FieldRow(str(edge), str(field), state, distances[-1], float(last["limit"]), int(last["count"]), distances)
        )
    return found
