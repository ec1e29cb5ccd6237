"""Progress: a job's bar while somebody waits for it; in a log a line now and then."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nbgraph.jobs.part import PartRecord

if TYPE_CHECKING:
    from nbgraph.jobs.job import Job

PERIOD = 0.25  # seconds between two looks
LINES = 10.0  # seconds between two lines of a log


def words(job: Job) -> str:
    """How it stands, in a line.

    >>> words(Job.attach("out"))  # doctest: +SKIP
    'fraud: 3 of 10 parts, 300,000 rows, 150,000 rows/s, 2 failed, 5 s left'
    """
    told = [
        f"{job.name}: {job.done} of {job.total if job.total is not None else '?'} parts", f"{job.rows:,} rows",
        f"{job.rate:,.0f} rows/s", *([f"{job.failed:,} failed"] if job.failed else []),
        *([f"{job.eta:.0f} s left"] if job.eta is not None else []),
    ]  # fmt: skip
    return ", ".join(told)


def step_counts(records: Iterable[PartRecord]) -> dict[str, tuple[int | None, int]]:
    """By step, in the graph's order: the events that have come to it, None where nobody counts, and those that failed.

    >>> edges = [("clean", "score", 8), ("score", "", 7)]
    >>> step_counts([PartRecord(number=0, rows=10, edges=edges, failed_in={"score": 1})])
    {'clean': (10, 0), 'score': (8, 1)}
    """
    came: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    steps: dict[str, None] = {}
    targets: set[str] = set()
    rows = 0
    for record in list(records):
        rows += record.rows
        failed.update(record.failed_in)
        for source, target, number in record.edges:
            steps |= dict.fromkeys([source] if not target else [source, target])
            came[target] += number
            targets.add(target)
    counted = {step: came[step] if step in targets else rows for step in steps}
    return {step: (counted.get(step), failed[step]) for step in dict.fromkeys([*steps, *filter(None, failed)])}


@contextmanager
def shown(job: Job) -> Iterator[Callable[[], None]]:
    """What to call every so often, so that the bar is up to date; in a notebook the job's own view is shown."""
    if _is_notebook():
        job.view()._ipython_display_()
        yield lambda: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _ProgressLines(job).tell
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, refresh_per_second=1 / PERIOD) as progress:
        task = progress.add_task(words(job), total=job.total)

        def tell() -> None:
            progress.update(task, description=words(job), completed=job.done, total=job.total)

        yield tell
        tell()


def _is_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


class _ProgressLines:
    def __init__(self, job: Job) -> None:
        self._job, self._due = job, time.monotonic() + LINES

    def tell(self) -> None:
        if time.monotonic() >= self._due:
            print(words(self._job), file=sys.stderr, flush=True)
            self._due = time.monotonic() + LINES
