"""A Part: a piece of a job's data set that is worked on as one, and the record of what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from nbgraph.jobs.sources.slices import AnySlice

if TYPE_CHECKING:
    from concurrent.futures import Future


class Part(msgspec.Struct, frozen=True, kw_only=True, tag="part"):
    """Rows `low` to `high` of a slice of the source; `high` is None for all of them.

    `skip` has the places, within the slice, of rows that end whatever process they run in, and how it ended.
    `attempt` counts from 1.
    """

    number: int
    slice: AnySlice
    low: int = 0
    high: int | None = None
    skip: dict[int, FatalRow] = {}
    attempt: int = 1

    @property
    def name(self) -> str:
        return f"part-{self.number:05}"


class FatalRow(msgspec.Struct, frozen=True):
    """A row that ends its process: how, and before which step's end."""

    reason: str
    step: str = ""


class Probe(msgspec.Struct, frozen=True, tag="probe"):
    """Run the rows of a part and keep nothing, to see whether a process survives them."""

    part: Part


class Scatter(msgspec.Struct, frozen=True, tag="scatter"):
    """Spread the rows of a part over as many shards by their keys."""

    part: Part
    shards: int


Task = Part | Probe | Scatter


class PartRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What came of a part: rows read, answers written, rows that failed; the file with its hash.

    `errors` counts what failed by its text, `failed_in` by its step. `edges` counts what went from one step to another,
    to "" behind the last; empty where the plan's loop does not count. `source` is the hash of what was read, where that
    is no file.
    """

    number: int
    rows: int = 0
    written: int = 0
    failed: int = 0
    seconds: float = 0.0
    tries: int = 1
    worker: str = ""
    file: str = ""
    size: int = 0
    sha256: str = ""
    form: str = ""
    source: str = ""
    errors: dict[str, int] = {}
    edges: list[tuple[str, str, int]] = []
    failed_in: dict[str, int] = {}


class LostError(Exception):
    """The process that worked on a task has ended; `reason` says how.

    >>> LostError("signal 9").reason
    'signal 9'
    """

    def __init__(self, reason: str, worker: str = "", step: str = "") -> None:
        super().__init__(reason)
        self.reason, self.worker, self.step = reason, worker, step

    def __reduce__(self) -> tuple[type[LostError], tuple[str, str, str]]:
        return LostError, (self.reason, self.worker, self.step)


class Engine(Protocol):
    """Where tasks run. What a worker does with one is `nbgraph.jobs.part_run.PartRunner.run`, in all engines."""

    def submit(self, task: Task) -> Future[PartRecord]:
        """Begin a task; the future raises LostError where its process ended."""
        ...

    def workers(self) -> int:
        """How many tasks run at once."""
        ...

    def close(self) -> None:
        """End all workers, within seconds; what they have begun is left undone."""
        ...
