"""A Job: a graph over a data set, part by part, on many processes; what is done stays done, whatever dies."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nbgraph.errors import JobError
from nbgraph.graph.facade import job_view
from nbgraph.graph.graph import Graph
from nbgraph.jobs.code_hash import hashes_of, own_hashes_of
from nbgraph.jobs.cut import JobCut, cut_of
from nbgraph.jobs.dead_letter import failure_of, read
from nbgraph.jobs.engines.names import engine_of
from nbgraph.jobs.folder import JobDocument, JobFolder, State
from nbgraph.jobs.hidden_state import remarks_of
from nbgraph.jobs.output import result as results
from nbgraph.jobs.output.form import Form, form_of
from nbgraph.jobs.output.targets import check_target
from nbgraph.jobs.part import PartRecord
from nbgraph.jobs.payload import Payload
from nbgraph.jobs.progress import PERIOD, shown, step_counts, words
from nbgraph.jobs.scheduler import JobScheduler, Progress, Rules, StoppedError, told
from nbgraph.jobs.sources.base import JobSource, source_of
from nbgraph.render.text import outline
from nbgraph.steps.sources.base import RowSource

if TYPE_CHECKING:
    import pandas

    from nbgraph.failure import Failure
    from nbgraph.widgets.job import JobView

RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"
COLUMNS = ["part", "state", "rows", "written", "failed", "tries", "seconds", "worker"]
HOME = "NBGRAPH_JOBS"  # where jobs without a folder of their own are, and by what names others are known


@dataclass(frozen=True)
class JobSpec:
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
        self._spec: JobSpec | None = None
        self._scheduler: JobScheduler | None = None
        self._ended = threading.Event()
        self._ended.set()
        self._is_shown = False

    # --- beginning ---

    @classmethod
    def begin(cls, spec: JobSpec, *, resume: bool, progress: bool) -> Self:
        """Start a job; what can be refused is refused here."""
        form = form_of(spec.target)
        folder = _folder_of(spec, form)
        job = cls(spec.name, folder, spec.target, form)
        job._spec, job._is_shown = spec, progress
        job._start(resume=resume)
        return job

    def _start(self, *, resume: bool) -> None:
        spec = self._spec
        assert spec is not None
        key = spec.key if spec.key is not None else _key_of(spec.source)
        cut = cut_of(spec.graph, key, spec.workers)
        workers = 1 if cut is JobCut.NOWHERE else spec.workers or os.cpu_count() or 1
        if self._form is Form.TARGET:
            check_target(spec.target)
        for remark in remarks_of(spec.graph) if cut is not JobCut.NOWHERE else ():
            warnings.warn(remark, stacklevel=5)  # at graph.job(...)
        source = source_of(spec.source)
        about = _about(spec, source, cut, key)
        self._place = results.place_for(self.folder, about, resume=resume)
        lock = self._place.lock()
        try:
            self._place.begin(about)
            payload = Payload(
                spec.graph, self._place.path.absolute(), self._form, key=key, source=source.reader,
                target=spec.target if self._form is Form.TARGET else None,
                is_fresh=cut is not JobCut.ANYWHERE, hashes=own_hashes_of(spec.graph),
            )  # fmt: skip
            self._progress = Progress()
            for record in self._place.records().values():
                self._progress.add(record, is_fresh=False)
            engine = engine_of(spec.engine, payload, spec.source, lock, workers)
        except BaseException:
            self._place.unlock()
            raise
        rules = Rules(cut, spec.part_rows, spec.retries, spec.max_failures)
        self._scheduler = JobScheduler(self._place, source, engine, payload, rules, self._progress)
        self._state, self._error = RUNNING, None
        self._ended.clear()
        results.know(self.name, self.folder)
        self._note(RUNNING)
        thread = threading.Thread(target=self._run, args=(self._scheduler, engine), daemon=True, name="nbgraph-job")
        thread.start()

    def _run(self, scheduler: JobScheduler, engine: Any) -> None:
        state, error = DONE, None
        try:
            try:
                scheduler.run()
            finally:
                engine.close()
            if self._form is Form.ROWS:
                self._target.take(self._place, self._progress, scheduler.check_failures)
            results.complete(self._place, self._form, self._target, self._progress.records)
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
                results.exchange(self._place.path, self.folder)
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
        if self._spec is not None:
            return self._state
        found = self._place.state().state
        return STOPPED if found == RUNNING and not self._place.is_locked() else found

    @property
    def total(self) -> int | None:
        """How many parts there are, as soon as that is known."""
        return self._progress.total if self._spec is not None else self._place.state().total

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
        return str(self._error or "") if self._spec is not None else self._place.state().error

    def _records(self) -> dict[int, PartRecord]:
        return dict(self._progress.records) if self._spec is not None else self._place.records()

    @property
    def graph(self) -> Graph | None:
        """The graph that it runs; None where it was attached to."""
        return self._spec.graph if self._spec is not None else None

    def pulse(self) -> dict[str, Any]:
        """What a view shows of it: `words`, the `states` of its parts, their number in `total`, rows that `failed`.

        `steps`: by name, the events that have come to each, None where they are not counted, and those that failed.
        """
        records, running = self._records(), dict(self._progress.running)
        done = {number: FAILED if record.failed else DONE for number, record in records.items()}
        steps = step_counts(records.values())
        return {
            "words": words(self), "states": running | done, "total": self.total, "failed": self.failed, "steps": steps,
        }  # fmt: skip

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
        found: pandas.DataFrame = results.frame(self._place, self._form, self._target, self._records())
        return found

    def dataset(self) -> Any:
        """The files as a `pyarrow.dataset`, for results that are bigger than memory."""
        return results.dataset(self._place, self._form, self._records())

    def failures(self, n: int = 100) -> list[Failure]:
        """The first rows that failed, for `graph.debug`; their `row` counts from 0 over the whole source.

        Parameters
        ----------
        n
            Rows at most.
        """
        found: list[Failure] = []
        for part, line in self._place.failures():
            if len(found) == n:
                break
            found.append(failure_of(read(line), part, self.name))
        return found

    # --- steering it ---

    def wait(self, timeout: float | None = None) -> Self:
        """Until it is no longer running, or so many seconds; JobError where it failed. Ctrl-C stops the job.

        Parameters
        ----------
        timeout
            Seconds; None: without end.
        """
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
                if self._spec is None:
                    time.sleep(pause)
                else:
                    self._ended.wait(pause)
                tell()

    def stop(self) -> None:
        """End its workers, within seconds; `resume()` goes on where it was."""
        if self._scheduler is None:
            raise JobError(f'Job "{self.name}" belongs to another process; stop it there.')
        self._scheduler.stop()
        self._ended.wait(10)

    def resume(self) -> Self:
        """Go on with a job that was stopped or failed: only what is missing runs."""
        if self._spec is None:
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
        """The job of a folder, a file that a job writes, or a name, as it is or was run by any process.

        Parameters
        ----------
        folder
            Folder, file or name.
        """
        path = results.found(folder)
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
    spec = JobSpec(
        graph, source, target, key, engine, workers, part_rows, retries, max_failures, name or graph.name,
    )  # fmt: skip
    return Job.begin(spec, resume=resume, progress=progress)


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


def _folder_of(spec: JobSpec, form: Form) -> Path:
    if form is Form.ROWS:
        folder: Path = spec.target.folder
        return folder
    if form in (Form.TARGET, Form.NOTHING):
        return results.home() / spec.name
    target = Path(spec.target)
    return target.with_name(f"{target.name}.job") if form.is_one_file else target


def _key_of(source: Any) -> Any:
    """The key that a source gives its events."""
    if not isinstance(source, RowSource):
        return None
    keys: Sequence[Any] = source.keys
    return keys[0] if len(keys) == 1 else None


def _about(spec: JobSpec, source: JobSource, cut: JobCut, key: Any) -> JobDocument:
    options = {
        "key": key if isinstance(key, str | int | None) else getattr(key, "__qualname__", type(key).__name__),
        "part_rows": spec.part_rows if cut is not JobCut.NOWHERE else None, "form": form_of(spec.target).value,
        "cut": cut.value, "target": str(spec.target) if isinstance(spec.target, str | Path) else None,
    }  # fmt: skip
    return JobDocument(
        name=spec.name, graph=outline(spec.graph), code=hashes_of(spec.graph), source=source.fingerprint(),
        options=options, total=source.total(),
    )  # fmt: skip
