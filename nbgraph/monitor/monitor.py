"""Monitor: what of a graph is watched; data, a part of the graph's spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.monitor.baseline import Baseline, Every
from nbgraph.monitor.rule import (
    AlertRule,
    Constant,
    Drift,
    Errors,
    Fields,
    Missing,
    Range,
    Types,
    Unseen,
    from_plain,
    to_plain,
)
from nbgraph.steps.windows.spec import duration

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph
    from nbgraph.monitor.watch import Watch

ALL, MODELS = "all", "models"
LEAST_BEAT, LONGEST_BEAT = 0.25, 15.0  # seconds


@dataclass(frozen=True)
class Monitor:
    """What is watched of a graph; `graph.monitor(...)` makes one.

    >>> Monitor(every="5m", rules=[Drift(0.2)]).to_plain()
    {'every': '5m', 'rules': [{'rule': 'drift', 'limit': 0.2}]}

    Parameters
    ----------
    baseline
        What went through the graph when all was well; None: the first `warm_up` events become it.
    warm_up
        Events that become the baseline, where there is none.
    at
        `"all"` edges, those of `"models"`, or names of steps and edges.
    fields
        By step or edge, the fields that are watched; None: all at the top, at most 200 an edge.
    every
        Length of a window: `"1m"` by the clock, or a number of events.
    segments
        Fields by whose values quality and drift are told apart.
    score, label
        Names or expressions: which output is the score, and what a label is compared with.
    rules
        What must not be; None: `Monitor.RULES`.
    keep
        How long windows are kept.
    sample
        Share of the events that are looked at.
    share
        Share of the time that watching may take; where it would take more, fewer events are looked at.
    """

    baseline: Baseline | None = None
    warm_up: int = 10_000
    at: str | Sequence[str] = ALL
    fields: Mapping[str, Sequence[str]] | None = None
    every: Every = "1m"
    segments: Sequence[str] = ()
    score: str | None = None
    label: str | None = None
    rules: Sequence[AlertRule] | None = None
    keep: str = "30d"
    sample: float = 1.0
    share: float = 0.05

    RULES: ClassVar[tuple[AlertRule, ...]] = (
        Drift(),
        Missing(),
        Unseen(),
        Range(),
        Types(),
        Fields(),
        Constant(),
        Errors(),
    )

    def __post_init__(self) -> None:
        if self.baseline is not None and not isinstance(self.baseline, Baseline):
            raise GraphError(
                f"baseline={type(self.baseline).__name__} is no Baseline; expected what graph.profile(stream), "
                "Baseline.of(table, at=...) or Baseline.load(path) gave."
            )
        _check_number("warm_up", self.warm_up, 1)
        if isinstance(self.every, int) and not isinstance(self.every, bool):
            _check_number("every", self.every, 1)
        else:
            _check_span("every", self.every)
        _check_span("keep", self.keep)
        for name, value in (("sample", self.sample), ("share", self.share)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise GraphError(f"{name}={value!r} of the monitor; expected a share above 0 and at most 1.")
        for rule in self.rules or ():
            if not isinstance(rule, AlertRule):
                raise GraphError(f"rules has {rule!r}; expected rules such as Drift(0.1) or Missing(0.05).")

    @property
    def watched_rules(self) -> tuple[AlertRule, ...]:
        """The rules that hold for it."""
        return Monitor.RULES if self.rules is None else tuple(self.rules)

    @property
    def measured_rules(self) -> tuple[AlertRule, ...]:
        """The rules about the graph as a whole and its queues."""
        return tuple(rule for rule in self.watched_rules if rule.is_measured)

    @property
    def beat(self) -> float:
        """Seconds between two looks of those rules: a quarter of their time, and of a window."""
        spans = [rule.span for rule in self.measured_rules if rule.span]
        every = duration(self.every) if isinstance(self.every, str) else 4.0
        return max(LEAST_BEAT, min(LONGEST_BEAT, every / 4, *(span / 4 for span in spans)), *(s / 100 for s in spans))

    def export(self, folder: str | Path) -> Path:
        """Write what Prometheus and Grafana need to tell of graphs that are watched like this; the folder.

        Parameters
        ----------
        folder
            Where `prometheus.yml`, `rules.yml`, `rules_test.yml`, `grafana.json` and a README go.
        """
        from nbgraph.monitor import export

        return export.write(Path(folder), export.files_of(None, self))

    @property
    def is_by_clock(self) -> bool:
        """Whether windows are spans of time."""
        return isinstance(self.every, str)

    def begin(
        self, graph: Graph, deliver: Callable[[str, Event], Future[Any]], waiting: Callable[[], Mapping[str, int]]
    ) -> Watch:
        """Watch a run of the graph; `deliver` lets alerts enter at the steps that handle them.

        `waiting` tells how many events wait in each queue.
        """
        from nbgraph.monitor.watch import Watch

        return Watch(graph, self, deliver, waiting)

    def to_plain(self) -> dict[str, Any]:
        """What is said of it, without what is as usual, as plain data that JSON and YAML can hold."""
        document: dict[str, Any] = {}
        if self.baseline is not None:
            document["baseline"] = self.baseline.to_bytes()
        for name, usual in _USUAL.items():
            value = getattr(self, name)
            if value != usual:
                document[name] = list(value) if isinstance(value, tuple) else value
        if self.fields is not None:
            document["fields"] = {place: list(names) for place, names in self.fields.items()}
        if self.rules is not None:
            document["rules"] = [to_plain(rule) for rule in self.rules]
        return document

    @classmethod
    def from_plain(cls, document: Mapping[str, Any]) -> Monitor:
        """The monitor that `to_plain` told."""
        given = dict(document)
        unknown = given.keys() - _USUAL.keys() - {"baseline", "fields", "rules"}
        if unknown:
            known = ", ".join(["baseline", *_USUAL, "fields", "rules"])
            raise GraphError(f"monitor.{min(unknown)}: unknown field. Known fields: {known}.")
        if "baseline" in given:
            given["baseline"] = Baseline.from_bytes(given["baseline"], "The baseline of the monitor")
        if "rules" in given:
            given["rules"] = [from_plain(rule) for rule in given["rules"]]
        return cls(**given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Monitor) and self.to_plain() == other.to_plain()

    __hash__ = None  # type: ignore[assignment]


def named(found: Any, name: str) -> Monitor:
    """The Monitor that a cell's `--monitor NAME` means: one, or a Baseline to be compared with."""
    if isinstance(found, Monitor):
        return found
    if isinstance(found, Baseline):
        return Monitor(found)
    raise GraphError(
        f"--monitor {name} names {type(found).__name__}; expected a Baseline (graph.profile(stream)) or a Monitor."
    )


_USUAL: dict[str, Any] = {
    "warm_up": 10_000,
    "at": ALL,
    "every": "1m",
    "segments": (),
    "score": None,
    "label": None,
    "keep": "30d",
    "sample": 1.0,
    "share": 0.05,
}


def _check_number(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise GraphError(f"{name}={value!r} of the monitor; expected a whole number of at least {least}.")


def _check_span(name: str, value: object) -> None:
    try:
        duration(value)  # type: ignore[arg-type]
    except Exception as error:
        raise GraphError(f"{name}={value!r} of the monitor: {error}") from None
