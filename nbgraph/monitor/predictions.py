"""Predictions: what the steps that answer say of events, read off their edges; how good it was, window by window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nbgraph.engine.compile.bind import function_of
from nbgraph.engine.paths import part, path_of
from nbgraph.monitor.baseline import Every
from nbgraph.monitor.counting.edges import ends_of
from nbgraph.monitor.counting.tally import Kept
from nbgraph.monitor.ledger import LabelledPrediction, Prediction
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.statistics.limit import LEAST_EVENTS
from nbgraph.monitor.statistics.quality import METRICS, row_of
from nbgraph.steps.windows.spec import duration

if TYPE_CHECKING:
    import pandas as pd

    from nbgraph.graph.graph import Graph

COLUMNS = ("start", "model", "version", "predictions", "labels", "coverage", *METRICS, "estimated")
SAID = ".label"  # behind a step's name: what it said a label would be, beside its score


class PredictionReader:
    """Reads scores off the edges that lead away from whoever answers.

    >>> from nbgraph import Event, Graph
    >>> graph = Graph("fraud")
    >>> _ = graph.to(lambda body: body, "score").respond()
    >>> reader = PredictionReader(graph, Monitor(score="p"))
    >>> [(one.id, one.at, one.score) for one in reader.read("score ->", [({"p": 0.9}, Event(None, id="e-1"))])]
    [('e-1', 'score', 0.9)]
    """

    def __init__(self, graph: Graph, monitor: Monitor) -> None:
        self._score = _reading(monitor.score, graph)
        self._said = _reading(monitor.label, graph)
        self._segments = tuple(monitor.segments)
        self._responders = set(graph.responders)

    def read(self, edge: str, block: Sequence[Kept]) -> list[Prediction]:
        """The predictions among what went along an edge."""
        source, target = ends_of(edge)
        if self._score is None or (source not in self._responders if self._responders else bool(target)):
            return []
        return [one for body, event in block for one in self._of(body, event.id, source)]

    def _of(self, body: Any, id: str, at: str) -> Iterator[Prediction]:
        now = time.time()
        score = self._score(body) if self._score is not None else None
        if score is None:
            return
        is_mapping = isinstance(body, Mapping)
        segment = {name: body.get(name) for name in self._segments} if is_mapping else {}
        yield Prediction(id, at, now, score, at, "", segment)
        if self._said is not None and (said := self._said(body)) is not None:
            yield Prediction(id, f"{at}{SAID}", now, said, at, "", segment)


def quality_frame(
    rows: Iterable[LabelledPrediction], every: Every, segment: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """A row for each window, model and version; a label counts in the window of its prediction."""
    import pandas as pd

    chosen = [row for row in rows if segment is None or _is_in(row.prediction.segment, segment)]
    groups: dict[tuple[float, str, str], list[LabelledPrediction]] = {}
    start = _window(every)
    for row in chosen:
        if not row.prediction.at.endswith(SAID):
            one = row.prediction
            groups.setdefault((start(one), one.model, one.version), []).append(row)
    said = {row.prediction.id: row for row in chosen if row.prediction.at.endswith(SAID)}
    table = [
        {"start": begin, "model": model, "version": version, **_numbers(found, said)}
        for (begin, model, version), found in sorted(groups.items(), key=lambda one: one[0])
    ]
    return pd.DataFrame(table, columns=list(COLUMNS))


def quality_now(rows: Iterable[LabelledPrediction]) -> dict[str, float]:
    """The numbers of all predictions that have labels, for rules; none where there are too few."""
    found = [row for row in rows if row.is_labelled]
    said = {row.prediction.id: row for row in found if row.prediction.at.endswith(SAID)}
    scored = [row for row in found if not row.prediction.at.endswith(SAID)]
    if len(scored) < LEAST_EVENTS:
        return {}
    return {"start": scored[-1].prediction.time, **_numbers(scored, said)}


def _numbers(rows: Sequence[LabelledPrediction], said: Mapping[str, LabelledPrediction]) -> dict[str, float]:
    labelled = {place: row.label for place, row in enumerate(rows) if row.is_labelled}
    numbers = row_of([row.prediction.score for row in rows], labelled)
    told = [said[rows[place].prediction.id] for place in labelled if rows[place].prediction.id in said]
    if told:
        numbers["accuracy"] = sum(row.prediction.score == row.label for row in told) / len(told)
    return numbers


def _window(every: Every) -> Callable[[Prediction], float]:
    if isinstance(every, int):
        seen = -1

        def by_number(one: Prediction) -> float:
            nonlocal seen
            seen += 1
            return float(seen - seen % every)

        return by_number
    seconds = duration(every)
    return lambda one: one.time - one.time % seconds


def _is_in(segment: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(str(segment.get(name)) == str(value) for name, value in wanted.items())


def _reading(text: str | None, graph: Graph) -> Callable[[Any], Any] | None:
    """What reads a field, a path, or an expression over `event`; None for a body that does not have it."""
    if text is None:
        return None
    read = function_of(text, graph.scope) if "event" in text else partial(_part, path_of(text))

    def found(body: Any) -> Any:
        try:
            return read(body)
        except Exception:  # an answer of another form: nothing was predicted
            return None

    return found


def _part(path: Any, body: Any) -> Any:
    return part(body, path)
