"""Progress: a bar that tells how far a long source has been read."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TypeVar

T = TypeVar("T")
SECONDS = 0.1  # between two looks at the bar


def shown(rows: Iterator[T], title: str, total: int | None = None) -> Iterator[T]:
    """The same rows, while a bar counts them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=total)
        count, due = 0, monotonic()
        for row in rows:
            yield row
            count += 1
            if monotonic() >= due:
                progress.update(task, completed=count)
                due = monotonic() + SECONDS
        progress.update(task, completed=count, total=count)
