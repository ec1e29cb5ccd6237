"""Progress: a job's bar while somebody waits for it; in a log a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
