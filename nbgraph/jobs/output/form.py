"""Form: what the answers of a job are written as, told by its target."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from nbgraph.errors import JobError
from nbgraph.jobs.output.set_target import SetTarget
from nbgraph.steps.targets.base import Target


class Form(StrEnum):
    """`suffix` is that of a part's file."""

    PARQUET = "parquet"  # a folder of files
    CSV = "csv"  # one file
    LINES = "jsonl"  # one file
    TARGET = "target"  # what a Target makes of it
    ROWS = "rows"  # as they are, until a feature set takes all of them
    NOTHING = "nothing"  # the graph's own targets write

    @property
    def is_one_file(self) -> bool:
        return self in (Form.CSV, Form.LINES)


def form_of(target: Any) -> Form:
    """The form that a target asks for.

    >>> form_of("out"), form_of("out.csv"), form_of(None)
    (<Form.PARQUET: 'parquet'>, <Form.CSV: 'csv'>, <Form.NOTHING: 'nothing'>)
    """
    if target is None:
        return Form.NOTHING
    if isinstance(target, Target):
        return Form.TARGET
    if isinstance(target, SetTarget):
        return Form.ROWS
    if not isinstance(target, str | Path):
        raise JobError(
            f'A job writes to a folder, "x.csv", "x.jsonl" or a Target, and got a {type(target).__name__}; None leaves '
            "writing to the graph's own targets."
        )
    suffix = Path(target).suffix
    if suffix in (".parquet", ".pq"):
        raise JobError(f'A job writes Parquet as a folder, a file a part: name it "{Path(target).with_suffix("")}".')
    return {".csv": Form.CSV, ".jsonl": Form.LINES}.get(suffix, Form.PARQUET)
