"""The Frame: the record of one step's call: its input, its output, its time, the steps that follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from nbgraph.debug.json_values import to_document
from nbgraph.errors import RecordedError, text_of
from nbgraph.introspection import attribute, shown


def error_document(error: BaseException | None) -> dict[str, str] | None:
    """An error as plain data: its type and message; an error read from such data gives the same data."""
    if error is None:
        return None
    if isinstance(error, RecordedError):
        return {"type": error.type, "message": error.message}
    return {"type": type(error).__name__, "message": text_of(error)}


class Frame(msgspec.Struct, frozen=True):  # made at every step of a trace: a tenth of a dataclass's cost
    """One step's call for one event; `visit` counts the calls of the step for that event, from 1.

    `input` and `output` are snapshots. A frame that is about to run has no output yet. `edges` are the names
    of the steps it went on to, `reason` why where that was a choice; `seconds` is the handler's wall time.
    `copied` are the bytes of arrays and frames that were copied, so that each branch behind the step has its own.
    `inner` are the calls that the step made itself: those of a router's routes, as steps `router/route`.
    `printed` is what the call printed, logged and warned of.
    """

    event_id: str
    step: str
    visit: int
    input: Any
    output: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    edges: tuple[str, ...] = ()
    reason: str = ""
    dropped: bool = False
    inner: tuple[Frame, ...] = ()
    copied: int = 0
    printed: str = ""

    def __repr__(self) -> str:
        return f"Frame({', '.join(f'{name}={shown(getattr(self, name))}' for name in self.__struct_fields__)})"

    def diff(self) -> dict[str, tuple[Any, Any]]:
        """The changes of the step: path -> (before, after), with `MISSING` for no value.

        >>> Frame("e1", "enrich", 1, {"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}).diff()
        {'b': (2, 3), 'c': (MISSING, 4)}
        """
        return Differences(_differences(self.input, self.output, ""))

    def to_dict(self) -> dict[str, Any]:
        """The frame as plain data, its values as `json_values` encodes them, the error as its type and message."""
        return {
            "event_id": self.event_id,
            "step": self.step,
            "visit": self.visit,
            "input": to_document(self.input),
            "output": to_document(self.output),
            "error": error_document(self.error),
            "seconds": self.seconds,
            "edges": list(self.edges),
            "reason": self.reason,
            "dropped": self.dropped,
            "inner": [frame.to_dict() for frame in self.inner],
            **({"copied": self.copied} if self.copied else {}),
            **({"printed": self.printed} if self.printed else {}),
        }


class Differences(dict[str, tuple[Any, Any]]):
    """Path -> (before, after)."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{path!r}: {shown(pair)}" for path, pair in self.items()) + "}"


class _Nothing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Nothing()


def _differences(before: Any, after: Any, path: str) -> list[tuple[str, tuple[Any, Any]]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            found
            for key in keys
            for found in _differences(before.get(key, MISSING), after.get(key, MISSING), _joined(path, key))
        ]
    return [] if is_same(before, after) else [(path, (before, after))]


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def is_same(before: Any, after: Any) -> bool:
    """Equality that also works for arrays and DataFrames."""
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    equals = attribute(before, "equals")
    try:
        same = equals(after) if callable(equals) else before == after
        return bool(same if isinstance(same, bool) else same.all())
    except Exception:
        return False
