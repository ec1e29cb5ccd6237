"""The scheduler: gives parts to an engine, takes their records, tries lost ones again, finds the row that kills."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from nbgraph.errors import GraphError, JobError, text_of
from nbgraph.jobs.cut import JobCut
from nbgraph.jobs.folder import JobFolder
from nbgraph.jobs.part import Engine, FatalRow, LostError, Part, PartRecord, Probe, Scatter, Task
from nbgraph.jobs.payload import Payload
from nbgraph.jobs.sources.base import JobSource
from nbgraph.jobs.sources.slices import SourceShard

AHEAD = 2  # parts that wait at the engine, besides one a worker
TICK = 0.1  # seconds between two looks whether to stop
ALL = 1 << 62  # rows of a part that is everything
SHARDS = 32  # where nobody knows how many rows come


class StoppedError(Exception):
    """Somebody asked the job to stop."""


@dataclass
class Rules:
    """How a job is run: `allowed` failures, None for any number."""

    cut: JobCut
    part_rows: int
    retries: int
    max_failures: int | str | None


@dataclass
class Progress:
    """How far a job is; read by whoever shows it, while it is written."""

    total: int | None = None
    records: dict[int, PartRecord] = field(default_factory=dict)
    running: dict[int, str] = field(default_factory=dict)  # parts under way, and what is done with them
    fresh: int = 0  # rows of this run, for the rate
    began: float = field(default_factory=time.monotonic)
    rows: int = 0
    written: int = 0
    failed: int = 0

    def add(self, record: PartRecord, *, is_fresh: bool) -> None:
        self.records[record.number] = record
        self.rows += record.rows
        self.written += record.written
        self.failed += record.failed
        self.fresh += record.rows if is_fresh else 0

    def recount(self) -> None:
        """Count anew what was written and failed, where records have changed."""
        self.written = sum(record.written for record in self.records.values())
        self.failed = sum(record.failed for record in self.records.values())

    def errors(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for record in list(self.records.values()):
            found.update(record.errors)
        return found


class JobScheduler:
    """Runs a job to its end, on the thread that calls `run`."""

    def __init__(
        self, folder: JobFolder, source: JobSource, engine: Engine, payload: Payload, rules: Rules, progress: Progress
    ) -> None:
        self._folder, self._source, self._engine, self._payload, self._rules = folder, source, engine, payload, rules
        self.progress = progress
        self._stop = threading.Event()
        self._again: deque[Task] = deque()
        self._told: dict[int, str] = {}  # hashes of what the parts under way read
        self._searchers = ThreadPoolExecutor(2, thread_name_prefix="nbgraph-search")
        self._rows = source.total()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until all parts are done; StoppedError, JobError."""
        try:
            if self._rules.cut is JobCut.BY_KEY:
                self._keyed()
            else:
                whole = self._rules.cut is JobCut.NOWHERE
                parts = self._parts(ALL if whole else self._rules.part_rows)
                self._each(parts, self._done)
            self.check_failures()
        finally:
            self._stop.set()  # for hunters
            self._searchers.shutdown(wait=False, cancel_futures=True)

    # --- what there is to do ---

    def _parts(self, rows: int) -> Iterator[Task]:
        records = self.progress.records
        number = -1
        if self._rows is not None:
            self.progress.total = max(math.ceil(self._rows / rows), 0)
        for number, (slice, told) in enumerate(self._source.slices(rows, self._folder.path, records.__contains__)):
            done = records.get(number)
            if done is None:
                self._told[number] = told
                yield Part(number=number, slice=slice)
            elif done.source != told:
                raise JobError(
                    f"The source has changed: part {number} of it is not what it was when it was done; "
                    "resume=False starts anew."
                )
        self.progress.total = number + 1
        if len(records) > number + 1:
            raise JobError(f"The source has changed: it had {len(records)} parts; resume=False starts anew.")

    def _keyed(self) -> None:
        """Scatter all rows over shards by their keys, then run each shard."""
        shards = SHARDS if self._rows is None else max(1, math.ceil(self._rows / self._rules.part_rows))
        self.progress.total = shards
        if len(self.progress.records) == shards:
            return
        scattered: dict[int, str] = {}
        rows = self._source.slices(self._rules.part_rows, self._folder.path, lambda number: False)
        parts = (Scatter(Part(number=number, slice=slice), shards) for number, (slice, _) in enumerate(rows))

        def done(task: Task, record: PartRecord) -> None:
            scattered[record.number] = f"_job/spill/scattered-{record.number:05}"
            self._forget(task)

        self._each(parts, done)
        names = [scattered[number] for number in sorted(scattered)]
        todo = (number for number in range(shards) if number not in self.progress.records)
        slices = ((number, SourceShard(shard=number, shards=shards, scattered=names)) for number in todo)
        self._each((Part(number=number, slice=slice) for number, slice in slices), self._done)

    # --- running it ---

    def _each(self, tasks: Iterator[Task], done: Callable[[Task, PartRecord], None]) -> None:
        flying: dict[Future[Any], Task] = {}
        while True:
            while len(flying) < self._engine.workers() + AHEAD:
                task = self._again.popleft() if self._again else next(tasks, None)
                if task is None:
                    break
                flying[self._engine.submit(task)] = task
                self.progress.running[part_of(task).number] = "running"
            if not flying:
                return
            landed, _ = wait(flying, TICK, FIRST_COMPLETED)
            if self._stop.is_set():
                raise StoppedError
            for future in landed:
                task = flying.pop(future)
                found = self._found(future, task)
                if isinstance(found, PartRecord):
                    done(task, found)
                    self.progress.running.pop(found.number, None)
                elif isinstance(found, Future):
                    flying[found] = task
                else:
                    self._again.append(found)

    def _found(self, future: Future[Any], task: Task) -> PartRecord | Task | Future[Part]:
        """What came of a task: its record, the task to be tried again, or a hunt for what kills it."""
        part = part_of(task)
        try:
            found: PartRecord | Part = future.result()
            return found
        except LostError as error:
            if self._stop.is_set():
                raise StoppedError from error
            if part.attempt <= self._rules.retries:
                return with_part(task, replace(part, attempt=part.attempt + 1))
            if isinstance(task, Scatter):
                raise JobError(f"{part.name} ends the process that reads it: {error.reason}.") from error
            self.progress.running[part.number] = "searching"
            return self._searchers.submit(self._search, part, error)
        except (JobError, GraphError, OSError, ImportError) as error:
            raise self._failed(part, error) from error
        except Exception as error:
            if part.attempt <= self._rules.retries:
                return with_part(task, replace(part, attempt=part.attempt + 1))
            raise self._failed(part, error) from error

    def _failed(self, part: Part, error: BaseException) -> JobError:
        return JobError(f"{part.name}: {told(error, self._folder.path)} Parts that are done stay.")

    def _done(self, task: Task, record: PartRecord) -> None:
        record.source = self._told.pop(record.number, "") or record.source
        self._folder.keep(record)
        self.progress.add(record, is_fresh=True)
        self._forget(task)
        self._check_failures(is_end=False)

    def _forget(self, task: Task) -> None:
        """Remove what was made for a part that is done."""
        for path in part_of(task).slice.files(self._folder.path):
            with suppress(FileNotFoundError):
                path.unlink()

    # --- what fails ---

    def check_failures(self) -> None:
        """JobError where more rows have failed than may, now that all were read."""
        self._check_failures(is_end=True)

    def _check_failures(self, *, is_end: bool) -> None:
        most, failed = self._rules.max_failures, self.progress.failed
        if isinstance(most, str):
            share, rows = float(most.rstrip("%")) / 100, self.progress.rows if is_end else self._rows
            if rows is None:
                return
            most = math.floor(share * rows)
        if most is None or failed <= most:
            return
        text, times = self.progress.errors().most_common(1)[0]
        raise JobError(
            f"{failed} rows failed, more than max_failures={self._rules.max_failures}; most often, {times} times: "
            f"{text}. Look at them with job.failures(), mend the step, and start anew with resume=False."
        )

    def _search(self, part: Part, error: LostError) -> Part:
        """The part without the row that ends its process, found by halving it in fresh processes."""
        low, high = part.low, part.slice.rows or sum(1 for _ in part.slice.numbered(self._payload))
        is_keyed = self._rules.cut is not JobCut.ANYWHERE
        while high - low > 1:
            middle = (low + high) // 2
            first = part.low if is_keyed else low  # what remembers needs the rows before
            if self._survives(replace(part, low=first, high=middle)) is None:
                low = middle
            else:
                high = middle
        lost = self._survives(replace(part, low=low, high=low + 1))
        if lost is None and part.attempt - len(part.skip) <= self._rules.retries + 1:
            return replace(part, attempt=part.attempt + 1)  # somebody else has ended it
        if lost is None:
            raise JobError(
                f"{part.name} ends its process each time ({error.reason}), and none of its rows does so alone. Where "
                "it is memory: fewer part_rows, or fewer workers."
            )
        return replace(part, skip={**part.skip, low: FatalRow(lost.reason, lost.step)}, attempt=part.attempt + 1)

    def _survives(self, part: Part) -> LostError | None:
        future = self._engine.submit(Probe(part))
        while not self._stop.is_set():
            wait([future], TICK)
            if future.done():
                try:
                    future.result()
                    return None
                except LostError as error:
                    return error
        raise StoppedError


def told(error: BaseException, folder: Path) -> str:
    """What went wrong, in a sentence; with the place, where it is a disk's fault."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or folder}."
    return str(error) if isinstance(error, JobError) else f"{type(error).__name__}: {text_of(error)}."


def part_of(task: Task) -> Part:
    return task if isinstance(task, Part) else task.part


def with_part(task: Task, part: Part) -> Task:
    return part if isinstance(task, Part) else replace(task, part=part)
