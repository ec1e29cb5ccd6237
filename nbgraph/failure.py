"""Failure: an event that no handler could save, as a deployment, a job or a feature set kept it, for the debugger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from nbgraph.event import Event

_UNKNOWN: Final = object()


@dataclass(frozen=True)
class QueueOrigin:
    """The message that failed, and the function that read it; it can be put back into its queue."""

    function: str
    message: str


@dataclass(frozen=True)
class RowOrigin:
    """The row of a data set that failed, where it is known; `part` and `job`: of a job."""

    row: int | None
    part: int | None = None
    job: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Failure(Mapping[str, Any]):
    """An event that failed; its attributes, and those of its origin, are items too.

    Parameters
    ----------
    event
        As it came.
    step
        The step that failed.
    error
        The text of the error.
    trace
        What was recorded before it.
    time
        Seconds since 1970.
    input
        What the step got; where it was not kept, what the trace has of it, else the event's body.
    traceback
        The error's traceback as text, where it was kept.
    origin
        Where the event came from, where not from a caller.

    >>> calls = [{"step": "inverse", "input": 0}]
    >>> failure = Failure(event=Event(1), step="inverse", error="by zero", trace=calls, time=0.0)
    >>> failure.step, failure["step"], failure.input, list(failure)
    ('inverse', 'inverse', 0, ['event', 'step', 'error', 'trace', 'time'])
    """

    event: Event
    step: str
    error: str
    trace: list[Any]
    time: float
    input: Any = _UNKNOWN
    traceback: str | None = None
    origin: QueueOrigin | RowOrigin | None = None

    def __post_init__(self) -> None:
        items = {name: getattr(self, name) for name in ("event", "step", "error", "trace", "time")}
        if self.input is not _UNKNOWN:
            items["input"] = self.input
        if self.traceback is not None:
            items["traceback"] = self.traceback
        if self.origin is not None:
            items |= asdict(self.origin)
        object.__setattr__(self, "_items", items)
        if self.input is _UNKNOWN:
            object.__setattr__(self, "input", self._traced())

    def _traced(self) -> Any:
        calls = [call for call in self.trace if isinstance(call, dict) and call.get("step") == self.step]
        return calls[-1]["input"] if calls else self.event.body

    def __getitem__(self, name: str) -> Any:
        return self.__dict__["_items"][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__["_items"])

    def __len__(self) -> int:
        return len(self.__dict__["_items"])

    def __getattr__(self, name: str) -> Any:
        """What the origin tells."""
        items = self.__dict__.get("_items", {})
        if name not in items:
            raise AttributeError(f"a failure has no {name!r}; it has: {', '.join(items)}")
        return items[name]
