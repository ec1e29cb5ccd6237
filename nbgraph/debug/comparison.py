"""Comparison: two runs call by call: what each call gave, where it went on, and where that first parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.difference import Names, difference
from nbgraph.debug.frame import Frame, error_document
from nbgraph.debug.json_values import from_document, to_document
from nbgraph.event import Event
from nbgraph.introspection import attribute, shown
from nbgraph.streams.codec import arrays, tables

if TYPE_CHECKING:
    import pandas

    from nbgraph.debug.trace import Trace

COLUMNS = ["event", "step", "visit", "this", "other", "state", "difference"]
SIDES = ("this", "other")
MISSING = "(did not run)"


class ComparedCall(msgspec.Struct, frozen=True):
    """A call in both runs: its results as plain data, and where they first differ; empty where they are the same.

    `state` is `"same"`, `"differs"`, or the name of the one run that has the call with `only` before it.
    """

    event: int
    step: str
    visit: int
    this: Any
    other: Any
    state: str
    difference: str


def compared(
    this: Sequence[Frame],
    other: Sequence[Frame],
    *,
    plain: Callable[[Any], Any],
    names: Names = SIDES,
    with_edges: bool = True,
) -> list[ComparedCall]:
    """The calls of both runs, those of the first in their order; a call is known by event, step and visit.

    `with_edges`: that it goes on elsewhere is a difference too.
    """
    left, right = _calls(this), _calls(other)
    keys = [*left, *(key for key in right if key not in left)]
    return [_compared(key, left.get(key), right.get(key), plain, names, with_edges) for key in keys]


def compare(this: Trace, other: Trace) -> pandas.DataFrame:
    """A row for every call of either run."""
    import pandas

    plain = as_saved if this.is_marked and other.is_marked else as_saved_unmarked
    rows = compared(this.frames, other.frames, plain=plain)
    return pandas.DataFrame([[getattr(row, name) for name in COLUMNS] for row in rows], columns=COLUMNS)


def _compared(
    key: tuple[int, str, int],
    left: Frame | None,
    right: Frame | None,
    plain: Callable[[Any], Any],
    names: Names,
    with_edges: bool,
) -> ComparedCall:
    pair = result(left, plain), result(right, plain)
    if left is None or right is None:
        name = names[0] if right is None else names[1]
        return ComparedCall(*key, *pair, f"only {name}", difference(*pair, names=names) or "")
    found = difference(*pair, names=names)
    if found is None and with_edges and left.edges != right.edges:
        ways = [", ".join(frame.edges) or "nowhere" for frame in (left, right)]
        found = f"goes on to {ways[0]} {names[0]}, to {ways[1]} {names[1]}"
    return ComparedCall(*key, *pair, "same" if found is None else "differs", found or "")


def _calls(frames: Sequence[Frame]) -> dict[tuple[int, str, int], Frame]:
    """The frames by the number of their event, step and visit; of a step that gave several results the last."""
    numbers: dict[str, int] = {}
    for frame in frames:
        numbers.setdefault(frame.event_id, len(numbers))
    return {(numbers[frame.event_id], frame.step, frame.visit): frame for frame in frames}


def result(frame: Frame | None, plain: Callable[[Any], Any]) -> Any:
    """The result of a call in plain data: its output, or its error."""
    if frame is None:
        return MISSING
    return plain(frame.output) if frame.error is None else {"error": error_document(frame.error)}


def as_saved(value: Any) -> Any:
    """The value as in a saved trace; arrays and tables as their content."""
    kind = type(value)
    if kind in (list, tuple):
        return kind([as_saved(item) for item in value])
    if kind is dict:
        return {key: as_saved(item) for key, item in value.items()}
    if arrays.plain(value) is not None:
        return as_saved(value.tolist())
    document = to_document(value)
    return from_document(document) if tables.plain(value) is None and not isinstance(value, Event) else document


def as_saved_unmarked(value: Any) -> Any:
    """The value as in a saved trace without marks."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_as_text))
    except (TypeError, ValueError, RecursionError):
        return shown(value)


def _as_text(value: Any) -> Any:
    """A value unknown to JSON: NumPy's arrays and numbers as their content, others as their repr."""
    for method in ("item", "tolist"):
        convert = attribute(value, method)
        if callable(convert):
            try:
                return convert()
            except (ValueError, TypeError):
                continue
    return shown(value)
