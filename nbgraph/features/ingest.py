"""Ingest: rows through a set's graph into its table, in one commit, and then online; and the record of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError, RowError, StepError, text_of
from nbgraph.event import Event
from nbgraph.failure import Failure

if TYPE_CHECKING:
    from nbgraph.features.offline.rows import OfflineRows
    from nbgraph.features.offline.table import Commit
    from nbgraph.features.set import FeatureSet

MODES = ("raise", "skip")


@dataclass(frozen=True)
class Ingest:
    """What an ingest did: `changes` tells in words how the columns grew, `skipped` that it was there before."""

    name: str
    version: int | None
    online_version: int | None
    rows: int
    written: int
    skipped: bool
    seconds: float
    changes: list[str] = field(default_factory=list)
    _failures: list[Failure] = field(default_factory=list, repr=False)
    _set: FeatureSet | None = field(default=None, repr=False, compare=False)

    @property
    def failed(self) -> int:
        """How many rows were bad, and were left out."""
        return len(self._failures)

    def failures(self) -> list[Failure]:
        """The rows that were bad: event, step, error, time; `graph.debug(failure)` stands before the step."""
        return list(self._failures)

    @property
    def stats(self) -> Any:
        """What values the features have in the version that this ingest made."""
        return None if self._set is None else self._set.stats(self.version)

    @property
    def _facts(self) -> dict[str, Any]:
        if self.skipped:
            return {"skipped": f"same as version {self.version}; give id= to count it again"}
        facts: dict[str, Any] = {"version": self.version, "rows": self.rows, "written": self.written}
        if self._failures:
            facts["failed"] = self.failed
        return (
            facts | {"seconds": round(self.seconds, 2)} | ({"changes": "; ".join(self.changes)} if self.changes else {})
        )

    def __str__(self) -> str:
        return f"{self.name}: " + ", ".join(f"{name} {value}" for name, value in self._facts.items())

    def _repr_html_(self) -> str:
        cells = "".join(f"<td><b>{escape(name)}</b> {escape(str(value))}</td>" for name, value in self._facts.items())
        return f"<table><tr><td>{escape(self.name)}</td>{cells}</tr></table>"


def ingest(set: FeatureSet, source: Any, *, id: str | None, online: bool, on_error: str, progress: bool) -> Ingest:
    """See `FeatureSet.ingest`."""
    from nbgraph.features.offline.rows import rows_of

    if on_error not in MODES:
        raise FeatureError(f"An ingest was given on_error={on_error!r}; expected one of: {', '.join(MODES)}.")
    started = time.perf_counter()
    rows = rows_of(source)
    identity = identity_of(rows, id)
    offline, store = set.offline, set.store
    known = offline.find(identity)
    if known is not None or not len(rows):
        version = known if known is not None else offline.version()
        reached = store.advance(set) if online and version is not None else store.online_version(set)
        seconds = time.perf_counter() - started
        return Ingest(set.name, version, reached, len(rows), 0, known is not None, seconds, _set=set)
    return _written(set, rows, identity, online, on_error, progress, started)


def _written(
    set: FeatureSet, rows: OfflineRows, identity: str, online: bool, on_error: str, progress: bool, started: float
) -> Ingest:
    produced, failures = _through_graph(set, rows, on_error, progress)
    store = set.store
    with store.writing(set):
        written = write(set, produced, identity, len(rows), online, on_error=on_error)
        reached = store.advance(set) if online else store.online_version(set)
    commit = written.commit
    return Ingest(
        set.name, commit.version, reached, len(rows), commit.rows, not commit.is_new,
        time.perf_counter() - started, written.changes, [*failures, *written.failures], set,
    )  # fmt: skip


@dataclass(frozen=True)
class WrittenRows:
    """What writing did: the commit, how the columns grew, the rows that were bad."""

    commit: Commit
    changes: list[str]
    failures: list[Failure]


def write(
    set: FeatureSet, produced: Produced, identity: str, rows: int, online: bool = True, *, on_error: str = "raise",
    before: Callable[[list[Failure]], None] = lambda failures: None,
) -> WrittenRows:  # fmt: skip
    """Write what came out of the graph in one commit; `before` it somebody is told which rows are left out."""
    from nbgraph.features.offline.fit import fitted

    fit = fitted(set, produced, on_error)
    failures, changes = list[Failure](), list[str]()

    def frame(schema: dict[str, str]) -> Any:
        made = fit(schema)
        failures[:], changes[:] = made.failures, made.changes
        before(failures)
        return made.frame

    def about() -> dict[str, Any]:
        return {
            "action": "ingest", "id": identity, "source": produced.name, "changes": changes, "rows": rows,
            "online": online,
        }  # fmt: skip

    commit = set.offline.append(frame, identity, about, set.partition_by)
    set.store.changed(set)
    return WrittenRows(commit, changes, failures)


def write_rows(set: FeatureSet, rows: Sequence[Any], id: str) -> None:
    """Write rows that were made and looked at already, as an ingest of that id."""
    write(set, Produced(None, rows, STREAM), f"id {id}", len(rows))


def identity_of(rows: OfflineRows, id: str | None) -> str:
    """What tells that an ingest came before: its id, or what its rows are."""
    return f"id {id}" if id is not None else f"content {rows.identity()}"


STREAM = "stream"  # the source of rows that came as events


@dataclass(frozen=True)
class Produced:
    """What is to be stored: a frame as it came, or bodies, each with the event that it came of."""

    frame: Any
    bodies: Sequence[Any]
    name: str


def _through_graph(set: FeatureSet, rows: OfflineRows, on_error: str, progress: bool) -> tuple[Produced, list[Failure]]:
    graph = set.way if set.is_stored and set.store.is_watched(set) else set.graph
    if graph is None or not graph.steps:
        if rows.frame is not None:
            return Produced(rows.frame, (), rows.name), []
        failures = [_failure(each) for each in rows.bodies if isinstance(each, RowError)]
        if failures and on_error == "raise":
            raise next(each for each in rows.bodies if isinstance(each, RowError))
        bodies = [_body(each) for each in rows.bodies if not isinstance(each, RowError)]
        return Produced(None, bodies, rows.name), failures
    events: Any = rows.events()
    if progress and len(rows) >= MANY:
        from nbgraph.steps.sources.base import shown

        events = shown(iter(events), set.name, len(rows))
    answers: list[Any] = []
    failures = []
    for answer in _outcomes(graph.stream(events)):
        if not isinstance(answer, StepError):
            answers.append(answer)
        elif on_error == "raise":
            raise answer
        else:
            failures.append(_failure(answer))
    return Produced(None, answers, rows.name), failures


MANY = 20_000  # rows from which on a bar is shown


def _outcomes(stream: Iterator[Any]) -> Iterator[Any]:
    """All answers of a stream, and in the place of those that failed their errors."""
    while True:
        try:
            yield next(stream)
        except StopIteration:
            return
        except StepError as error:
            yield error


def _body(given: Any) -> Any:
    return given.body if isinstance(given, Event) else given


def _failure(error: StepError | RowError) -> Failure:
    if isinstance(error, RowError):
        return Failure(event=error.event, step=error.source, error=text_of(error), trace=[], time=time.time())
    told = f"{type(error.__cause__).__name__}: {text_of(error.__cause__)}"
    return Failure(event=error.event, step=error.step, error=told, trace=[], time=time.time())


def preview(set: FeatureSet, source: Any, count: int) -> Any:
    """See `FeatureSet.preview`."""
    from nbgraph.features.offline.fit import fitted
    from nbgraph.features.offline.rows import rows_of

    rows = rows_of(source).first(count)
    produced, _ = _through_graph(set, rows, "raise", progress=False)
    kinds: Mapping[str, str] = set.schema if set.is_stored else {}
    return fitted(set, produced, "raise")(dict(kinds)).frame.to_pandas()
