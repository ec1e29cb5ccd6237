"""PartRunner: what a worker does with a task: rows of a part through the graph's own plan, answers into a file."""

from __future__ import annotations

import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgraph.engine.compile.plan_copy import with_counts
from nbgraph.engine.interpret.observer import Observer, Skip, StepRun
from nbgraph.engine.plan import Plan
from nbgraph.engine.schedule.stream import stream
from nbgraph.errors import RowError, StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.jobs.output.form import Form
from nbgraph.jobs.output.targets import PartTargets
from nbgraph.jobs.output.writers import BATCH, WRITERS, PartWriter, Rows, aside, written
from nbgraph.jobs.part import Part, PartRecord, Probe, Scatter, Task
from nbgraph.jobs.payload import Payload, unpacked
from nbgraph.jobs.shards import check_keys, shard_of
from nbgraph.jobs.sources.slices import PieceSlice, SourceShard
from nbgraph.jobs.sources.spill import BLOCK, HashedRows, add

if TYPE_CHECKING:
    from nbgraph.jobs.dead_letter import DeadLetters

IN_FLIGHT = 100_000  # events of an async graph whose rows are remembered
OTHERS = 20  # texts of errors that a record counts apart


class PartRunner:
    """Does tasks one after the other; `tell` hears which step begins, while single rows are probed.

    `packed` is the payload in bytes, of which a part gets steps of its own where they remember.
    """

    def __init__(
        self, payload: Payload, worker: str, packed: bytes = b"", tell: Callable[[str], None] = lambda step: None
    ) -> None:
        self.payload, self._worker, self._packed, self._tell = payload, worker, packed, tell

    def run(self, task: Task) -> PartRecord:
        began = time.perf_counter()
        if isinstance(task, Probe):
            record = self._probe(task.part)
        elif isinstance(task, Scatter):
            record = self._scatter(task)
        else:
            record = self._part(task)
        record.worker, record.seconds = self._worker, round(time.perf_counter() - began, 4)
        return record

    def _graph(self) -> Graph:
        return unpacked(self._packed).graph if self.payload.is_fresh and self._packed else self.payload.graph

    # --- a part ---

    def _part(self, part: Part) -> PartRecord:
        targets = PartTargets(self._graph(), part.name)
        rows = PartRows(part, self.payload)
        if isinstance(part.slice, SourceShard):
            rows.over = partial(check_keys, targets.plan, part.slice, self.payload.key)
        counts: dict[tuple[str, str], int] = {}
        run = PartRun(with_counts(targets.plan, counts), rows, self.payload)
        record = PartRecord(number=part.number, tries=part.attempt)
        try:
            self._write(part, run, record)
        except BaseException:
            targets.abandon()
            raise
        targets.settle()
        record.rows, record.source = rows.rows, rows.told
        record.edges = [(source, target, number) for (source, target), number in counts.items()]
        self._bury(part, run, record)
        return record

    def _bury(self, part: Part, run: PartRun, record: PartRecord) -> None:
        """Keep what failed."""
        path = self.payload.folder / "_job" / "failures" / f"{part.number:05}.jsonl"
        for place, fatal in part.skip.items():
            run.letters().add_fatal(fatal, place)
        if not run.has_letters:
            path.unlink(missing_ok=True)  # of an earlier try
            return
        counted = run.letters().count()
        record.failed, record.errors = counted.total(), dict(counted.most_common(OTHERS))
        record.failed_in = dict(run.letters().steps())
        run.letters().write(path, part, self.payload)

    def _write(self, part: Part, run: PartRun, record: PartRecord) -> None:
        """All answers, into the file of the part."""
        answers, form = run.answers(), self.payload.form
        if form is Form.NOTHING:
            record.written = sum(1 for _ in answers)
            return
        if form is Form.TARGET:
            record.written = PartTargets.written(self.payload.target, part.name, answers)
            return
        name = f"{part.name}.{form}"
        with aside(self.payload.folder / name) as draft:
            writer = WRITERS[form](draft)
            try:
                record.written, record.form = _fill(writer, answers, as_rows=form not in (Form.LINES, Form.ROWS))
                writer.close()
            except BaseException:
                writer.abandon()
                raise
            told = written(draft, name)
        record.file, record.size, record.sha256 = told.file, told.size, told.sha256

    # --- a probe ---

    def _probe(self, part: Part) -> PartRecord:
        graph, rows = self._graph(), PartRows(part, self.payload)
        teller = _Teller(self._tell)
        is_single = part.high is not None and part.high - part.low == 1
        if is_single:
            graph.observers.append(teller)
        try:
            for _ in PartRun(graph.plan(), rows, self.payload).answers():
                pass
        finally:
            if is_single:
                graph.observers.remove(teller)
        return PartRecord(number=part.number, rows=rows.rows)

    # --- a scatter ---

    def _scatter(self, task: Scatter) -> PartRecord:
        """The rows of a part, with their numbers, in a file for each shard."""
        name = f"scattered-{task.part.number:05}"
        draft = self.payload.folder / "_job" / "drafts" / f"{name}-{os.getpid()}-{os.urandom(3).hex()}"
        draft.mkdir()
        waiting: list[list[Any]] = [[] for _ in range(task.shards)]
        rows = 0
        for number, row in task.part.slice.numbered(self.payload):
            rows += 1
            shard = waiting[shard_of(row, self.payload.key, task.shards)]
            shard.append([number, row])
            if len(shard) >= BLOCK:
                _emptied(draft, waiting.index(shard), shard)
        for at, shard in enumerate(waiting):
            _emptied(draft, at, shard)
        place = self.payload.folder / "_job" / "spill" / name
        shutil.rmtree(place, ignore_errors=True)
        draft.replace(place)
        return PartRecord(number=task.part.number, rows=rows)


def _emptied(folder: Path, shard: int, rows: list[Any]) -> None:
    if rows:
        with (folder / f"{shard:05}").open("ab") as file:
            add(file, rows)
        rows.clear()


def _fill(writer: PartWriter, answers: Iterator[Any], *, as_rows: bool) -> tuple[int, str]:
    number, rows = 0, Rows()
    while batch := list(islice(answers, BATCH)):
        number += len(batch)
        writer.add(rows.of(batch) if as_rows else batch)
    return number, rows.kind


class PartRows:
    """The rows of a part on their way into the graph; `place` is that of the row that was read last."""

    def __init__(self, part: Part, payload: Payload) -> None:
        self._part, self._payload = part, payload
        self.place: int | None = None
        self.rows = 0
        self._hashed: HashedRows | None = None
        self.is_over = False
        self.over: Callable[[], None] = lambda: None  # asked behind the last row, before steps give what they hold
        self.broken: BaseException | None = None  # why the source can't be read, which is nobody's dead letter
        self._places: OrderedDict[str, int] = OrderedDict()  # of events under way, by their ids

    @property
    def told(self) -> str:
        """The hash of the rows, where nothing else tells whether they are what they were."""
        return self._hashed.told if self._hashed is not None else ""

    def plain(self) -> Generator[Any, None, None]:
        """The rows, for a graph that takes the next one when it is done with this one."""
        part = self._part
        entries: Iterable[Any] = part.slice.entries(self._payload)
        if isinstance(part.slice, PieceSlice) and part.slice.is_hashed:
            entries = self._hashed = HashedRows(entries)
        numbered = enumerate(islice(entries, part.high))
        last = -1
        try:
            if not part.low and not part.skip:
                for last, row in numbered:
                    self.place = last
                    yield row
            else:
                for last, row in numbered:
                    if last >= part.low and last not in part.skip:
                        self.place = last
                        yield row
            self.over()
        except GeneratorExit:
            raise
        except BaseException as error:
            self.broken = error
            raise
        self.rows, self.is_over, self.place = max(0, last + 1 - part.low), True, None

    def events(self) -> Generator[Any, None, None]:
        """The rows as Events whose places are known by their ids, for a graph that has several under way."""
        for row in self.plain():
            entry = row if isinstance(row, Event | RowError) else Event(row)
            event = entry.event if isinstance(entry, RowError) else entry
            assert self.place is not None
            self._places[event.id] = self.place
            if len(self._places) > IN_FLIGHT:
                self._places.popitem(last=False)
            yield entry

    def place_of(self, error: Exception) -> int | None:
        if self._places and isinstance(error, StepError):
            return self._places.get(error.event.id)
        return self.place


class PartRun:
    """The rows of a part through a plan: its answers, and letters of those that failed."""

    def __init__(self, plan: Plan, rows: PartRows, payload: Payload) -> None:
        self._plan, self._rows, self._payload = plan, rows, payload
        self._letters: DeadLetters | None = None

    @property
    def has_letters(self) -> bool:
        return self._letters is not None

    def letters(self) -> DeadLetters:
        """What failed; made when something does, since a worker starts faster without."""
        if self._letters is None:
            from nbgraph.jobs.dead_letter import DeadLetters

            self._letters = DeadLetters(self._payload.graph)
        return self._letters

    def answers(self) -> Iterator[Any]:
        """What `graph.stream` gives; it goes on behind what fails."""
        plan, rows = self._plan, self._rows
        several = plan.is_async or plan.is_staged
        given = stream(plan, rows.events() if several else rows.plain(), key=self._payload.key)
        answers = iter(given)
        while True:
            try:
                yield from answers
                return
            except Exception as error:
                self._note(error)
                answers = given.rest()

    def _note(self, error: Exception) -> None:
        rows = self._rows
        if rows.broken is not None:
            raise rows.broken
        if rows.is_over and not (isinstance(error, StepError) and error.step not in self._plan.holders):
            raise error  # a step can't give, or write, what it gathered: that is no row's fault
        self.letters().add(error, rows.place_of(error))


class _Teller(Observer):
    """Tells which step begins."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def before(self, move: StepRun) -> Skip | None:
        self._tell(move.step)
        return None
