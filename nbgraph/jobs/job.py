"""A Job: a graph over a data set, part by part, on many processes; what is done stays done, whatever dies."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nbgraph.errors import JobError
from nbgraph.graph.facade import job_view
from nbgraph.graph.graph import Graph
from nbgraph.jobs import finish
from nbgraph.jobs.code import hashes_of, own_hashes_of
from nbgraph.jobs.conductor import Conductor, Progress, Rules, StoppedError, told
from nbgraph.jobs.cut import Cut, cut_of
from nbgraph.jobs.dead_letter import failure_of, read
from nbgraph.jobs.engines import engine_of
from nbgraph.jobs.folder import About, JobFolder, State
from nbgraph.jobs.form import Form, form_of
from nbgraph.jobs.load import Load
from nbgraph.jobs.part import PartRecord
from nbgraph.jobs.progress import PERIOD, shown, words
from nbgraph.jobs.source import JobSource, source_of
from nbgraph.jobs.targets import check_target
from nbgraph.render.text import outline
from nbgraph.steps.sources.base import RowSource

if TYPE_CHECKING:
    import pandas

    from nbgraph.debug.failure import Failure
    from nbgraph.widgets.job import JobView

RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"
COLUMNS = ["part", "state", "rows", "written", "failed", "tries", "seconds", "worker"]
HOME = "NBGRAPH_JOBS"  # where jobs without a folder of their own are, and by what names others are known


@dataclass(frozen=True)
class Order:
    """What a job is asked to do."""

    graph: Graph
    source: Any
    target: Any
    key: Any
    engine: Any
    workers: int | None
    part_rows: int
    retries: int
    max_failures: int | str | None
    name: str


class Job:
    """A job that runs, has run, or is looked at from elsewhere.

    >>> import tempfile
    >>> graph = Graph("double")
    >>> _ = graph.to(lambda row: {"x": row["x"] * 2}, "double")
    >>> job = graph.job([{"x": 1}, {"x": 2}], tempfile.mkdtemp() + "/out", engine="thread", progress=False)
    >>> job.wait().state, job.written, job.result()["x"].tolist()
    ('done', 2, [2, 4])
    """

    def __init__(self, name: str, folder: Path, target: Any, form: Form) -> None:
        self.name, self.folder = name, folder
        self._target, self._form = target, form
        self._place = JobFolder(folder)  # where it works: beside the result, where that is to be replaced
        self._progress = Progress()
        self._state = STOPPED
        self._error: BaseException | None = None
        self._order: Order | None = None
        self._conductor: Conductor | None = None
        self._ended = threading.Event()
        self._ended.set()
        self._is_shown = False

    # --- beginning ---

    @classmethod
    def begin(cls, order: Order, *, resume: bool, progress: bool) -> Self:
        """Start a job; what can be refused is refused here."""
        form = form_of(order.target)
        folder = _folder_of(order, form)
        job = cls(order.name, folder, order.target, form)
        job._order, job._is_shown = order, progress
        job._start(resume=resume)
        return job

    def _start(self, *, resume: bool) -> None:
        order = self._order
        assert order is not None
        key = order.key if order.key is not None else _key_of(order.source)
        cut = cut_of(order.graph, key, order.workers)
        workers = 1 if cut is Cut.NOWHERE else order.workers or os.cpu_count() or 1
        if self._form is Form.TARGET:
            check_target(order.target)
        source = source_of(order.source)
        about = _about(order, source, cut, key)
        self._place = finish.place_for(self.folder, about, resume=resume)
        lock = self._place.lock()
        try:
            self._place.begin(about)
            load = Load(
                order.graph, self._place.path.absolute(), self._form, key=key, source=source.reader,
                target=order.target if self._form is Form.TARGET else None,
                is_fresh=cut is not Cut.ANYWHERE, hashes=own_hashes_of(order.graph),
            )  # fmt: skip
            self._progress = Progress()
            for record in self._place.records().values():
                self._progress.add(record, is_fresh=False)
            engine = engine_of(order.engine, load, lock, workers)
        except BaseException:
            self._place.unlock()
            raise
        rules = Rules(cut, order.part_rows, order.retries, order.max_failures)
        self._conductor = Conductor(self._place, source, engine, load, rules, self._progress)
        self._state, self._error = RUNNING, None
        self._ended.clear()
        finish.know(self.name, self.folder)
        self._note(RUNNING)
        thread = threading.Thread(target=self._run, args=(self._conductor, engine), daemon=True, name="nbgraph-job")
        thread.start()

    def _run(self, conductor: Conductor, engine: Any) -> None:
        state, error = DONE, None
        try:
            try:
                conductor.run()
            finally:
                engine.close()
            finish.complete(self._place, self._form, self._target, self._progress.records)
        except StoppedError:
            state = STOPPED
        except JobError as failed:
            state, error = FAILED, failed
        except BaseException as broken:
            state, error = FAILED, JobError(f"{told(broken, self._place.path)} Parts that are done stay.")
            error.__cause__ = broken
        self._end(state, error)

    def _end(self, state: str, error: JobError | None) -> None:
        """Say how it ended, here and in its folder, and let go of that."""
        self._progress.running.clear()
        self._error = error
        try:
            with suppress(OSError):  # the disk may be full
                self._note(state)
            self._place.unlock()
            if state == DONE and self._place.path != self.folder:
                finish.exchange(self._place.path, self.folder)
                self._place = JobFolder(self.folder)
        finally:
            self._state = state
            self._ended.set()

    def _note(self, state: str) -> None:
        ended = time.time() if state != RUNNING else 0.0
        error = str(self._error or "")
        self._place.note(State(state=state, error=error, total=self._progress.total, ended=ended))

    # --- how it stands ---

    @property
    def state(self) -> str:
        """ "running", "done", "failed" or "stopped"; the last two can be resumed."""
        if self._order is not None:
            return self._state
        found = self._place.state().state
        return STOPPED if found == RUNNING and not self._place.is_locked() else found

    @property
    def total(self) -> int | None:
        """How many parts there are, as soon as that is known."""
        return self._progress.total if self._order is not None else self._place.state().total

    @property
    def done(self) -> int:
        """How many parts are done."""
        return len(self._records())

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return sum(record.rows for record in self._records().values())

    @property
    def written(self) -> int:
        """Answers that were written."""
        return sum(record.written for record in self._records().values())

    @property
    def failed(self) -> int:
        """Rows that failed: see `failures()`."""
        return sum(record.failed for record in self._records().values())

    @property
    def rate(self) -> float:
        """Rows a second, since this run of it began."""
        progress = self._progress
        return progress.fresh / max(time.monotonic() - progress.began, 1e-9)

    @property
    def eta(self) -> float | None:
        """Seconds until it is done, if all goes on as so far; None where that can't be told."""
        total, done = self.total, self.done
        if self.state != RUNNING or not total or not done or not self.rate:
            return None
        return (total - done) * (self.rows / done) / self.rate

    @property
    def error(self) -> str:
        """Why it failed; empty where it did not."""
        return str(self._error or "") if self._order is not None else self._place.state().error

    def _records(self) -> dict[int, PartRecord]:
        return dict(self._progress.records) if self._order is not None else self._place.records()

    @property
    def graph(self) -> Graph | None:
        """The graph that it runs; None where it was attached to."""
        return self._order.graph if self._order is not None else None

    def pulse(self) -> dict[str, Any]:
        """What a view shows of it: `words`, the `states` of its parts, their number in `total`, rows that `failed`."""
        records, running = self._records(), dict(self._progress.running)
        done = {number: FAILED if record.failed else DONE for number, record in records.items()}
        return {"words": words(self), "states": running | done, "total": self.total, "failed": self.failed}

    def view(self) -> JobView:
        """The live view: parts as a strip, how fast it goes, the rows that failed."""
        return job_view(self)

    def _ipython_display_(self) -> None:
        self.view()._ipython_display_()

    def status(self) -> pandas.DataFrame:
        """A row for each part."""
        import pandas

        records, running = self._records(), dict(self._progress.running)
        rows = [
            (one.number, DONE, one.rows, one.written, one.failed, one.tries, one.seconds, one.worker)
            for one in records.values()
        ]
        rows += [(part, state, 0, 0, 0, 0, 0.0, "") for part, state in running.items() if part not in records]
        rows += [(part, "waiting", 0, 0, 0, 0, 0.0, "") for part in range(self.total or 0)
                 if part not in records and part not in running]  # fmt: skip
        return pandas.DataFrame(sorted(rows), columns=COLUMNS)

    # --- what came of it ---

    def result(self) -> pandas.DataFrame:
        """All answers that were written, as `pd.DataFrame(graph.stream(source))` has them."""
        found: pandas.DataFrame = finish.frame(self._place, self._form, self._target, self._records())
        return found

    def dataset(self) -> Any:
        """The files as a `pyarrow.dataset`, for results that are bigger than memory."""
        return finish.dataset(self._place, self._form, self._records())

    def failures(self, n: int = 100) -> list[Failure]:
        """The first rows that failed, for `graph.debug`; their `row` counts from 0 over the whole source."""
        found: list[Failure] = []
        for part, line in self._place.failures():
            if len(found) == n:
                break
            found.append(failure_of(read(line), part, self.name))
        return found

    # --- steering it ---

    def wait(self, timeout: float | None = None) -> Self:
        """Until it is no longer running, or so many seconds; JobError where it failed. Ctrl-C stops the job."""
        try:
            self._waited(timeout)
        except KeyboardInterrupt:
            self.stop()
            raise
        if self.state == FAILED:
            raise JobError(f'Job "{self.name}" failed. {self.error}') from self._error
        return self

    def _waited(self, timeout: float | None) -> None:
        until = time.monotonic() + timeout if timeout is not None else float("inf")
        with shown(self) if self._is_shown else nullcontext(lambda: None) as tell:
            while self.state == RUNNING and (left := until - time.monotonic()) > 0:
                pause = min(PERIOD, left)
                if self._order is None:
                    time.sleep(pause)
                else:
                    self._ended.wait(pause)
                tell()

    def stop(self) -> None:
        """End its workers, within seconds; `resume()` goes on where it was."""
        if self._conductor is None:
            raise JobError(f'Job "{self.name}" belongs to another process; stop it there.')
        self._conductor.stop()
        self._ended.wait(10)

    def resume(self) -> Self:
        """Go on with a job that was stopped or failed: only what is missing runs."""
        if self._order is None:
            raise JobError(
                f'Job "{self.name}" was begun by another process, which had its graph; go on with it by '
                "graph.job(source, target), with the same arguments."
            )
        if self.state == RUNNING:
            raise JobError(f'Job "{self.name}" is running.')
        self._start(resume=True)
        return self

    @classmethod
    def attach(cls, folder: str | Path) -> Self:
        """The job of a folder, a file that a job writes, or a name, as it is or was run by any process."""
        path = finish.found(folder)
        about = JobFolder(path).about()
        return cls(about.name, path, about.options.get("target"), Form(about.options["form"]))

    def __repr__(self) -> str:
        parts = f"{self.done} of {self.total if self.total is not None else '?'} parts"
        return f"<Job {self.name!r}: {self.state}, {parts}, {self.written} written, {self.failed} failed>"


def begin(
    graph: Graph, source: Any, target: Any = None, *, key: Any, engine: Any, workers: int | None, part_rows: int,
    retries: int, max_failures: int | str | None, resume: bool, name: str | None, progress: bool,
) -> Job:  # fmt: skip
    """Start a job; see `Graph.job`."""
    _check_numbers(workers=workers, part_rows=part_rows)
    _check_share(max_failures)
    order = Order(
        graph, source, target, key, engine, workers, part_rows, retries, max_failures, name or graph.name,
    )  # fmt: skip
    return Job.begin(order, resume=resume, progress=progress)


def _check_numbers(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise JobError(f"A job got {name}={value!r}; expected a whole number of at least 1.")


def _check_share(given: Any) -> None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 0):
        return
    if isinstance(given, str) and given.endswith("%"):
        try:
            if 0 <= float(given[:-1]) <= 100:
                return
        except ValueError:
            pass
    raise JobError(f'A job got max_failures={given!r}; expected a number from 0, or a share of the rows such as "1%".')


def _folder_of(order: Order, form: Form) -> Path:
    if form in (Form.TARGET, Form.NOTHING):
        return finish.home() / order.name
    target = Path(order.target)
    return target.with_name(f"{target.name}.job") if form.is_one_file else target


def _key_of(source: Any) -> Any:
    """The key that a source gives its events."""
    if not isinstance(source, RowSource):
        return None
    keys: Sequence[Any] = source.keys
    return keys[0] if len(keys) == 1 else None


def _about(order: Order, source: JobSource, cut: Cut, key: Any) -> About:
    options = {
        "key": key if isinstance(key, str | int | None) else getattr(key, "__qualname__", type(key).__name__),
        "part_rows": order.part_rows if cut is not Cut.NOWHERE else None, "form": form_of(order.target).value,
        "cut": cut.value, "target": str(order.target) if isinstance(order.target, str | Path) else None,
    }  # fmt: skip
    return About(
        name=order.name, graph=outline(order.graph), code=hashes_of(order.graph), source=source.fingerprint(),
        options=options, total=source.total(),
    )  # fmt: skip
