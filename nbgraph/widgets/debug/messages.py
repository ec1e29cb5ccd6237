"""Messages of a debugged run: its frames as its view draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.debug.debugger import Debugger
from nbgraph.debug.frame import Frame
from nbgraph.graph.graph import Graph
from nbgraph.render.printable import printable
from nbgraph.widgets.live.step_record import StepRecord, first_line
from nbgraph.widgets.values.preview import differences, shown
from nbgraph.widgets.values.rich import is_rich
from nbgraph.widgets.values.step_detail import code_of, traceback_of

LISTED = 2_000  # frames that the slider reaches; of a longer run the last ones


def frame_detail(
    graph: Graph, frame: Frame, index: int | None, compared: Frame | None = None, inside: Sequence[Frame] = ()
) -> dict[str, Any]:
    """One frame in full: what went in and out, what changed, the error, the code. `index` is None for one to come.

    `inside` are the calls that the step it stands in has made so far.
    """
    is_to_come = index is None and frame.error is None
    return {
        "name": printable(frame.step, 200),
        "index": index,
        "event": printable(str(frame.event_id), 80),
        "visit": frame.visit,
        "input": shown(frame.input),
        "output": None if is_to_come or frame.error else shown(frame.output),
        "inputIsRich": is_rich(frame.input),
        "outputIsRich": is_rich(frame.output),
        "text": editable(frame.input),
        "gave": "" if is_to_come or frame.error else editable(frame.output),
        "diff": [] if is_to_come else _changes(frame, compared),
        "compared": compared is not None,
        "error": traceback_of(frame.error),
        "note": first_line(frame.error) if frame.error else "",
        "code": code_of(graph, frame.step),
        "facts": {},
        "reason": printable(frame.reason, 400),
        "inside": [_inner(one) for one in (*frame.inner, *inside)],
        "printed": frame.printed,
        "seconds": frame.seconds,
        "goes": [printable(name, 80) for name in frame.edges],
        "dropped": frame.dropped,
    }


def _changes(frame: Frame, compared: Frame | None) -> list[list[Any]]:
    """What the step changed; against the same step of another line, where what came out of both differs."""
    return differences(frame.input if compared is None else compared.output, frame.output)


def _inner(frame: Frame) -> dict[str, Any]:
    """A call that the step made itself, as a router one of its routes."""
    return {
        "step": printable(frame.step.partition("/")[2], 80), "ms": round(frame.seconds * 1000, 3), "reason": "",
        "printed": frame.printed,
        "error": first_line(frame.error) if frame.error else "", "input": shown(frame.input),
        "output": None if frame.error else shown(frame.output),
    }  # fmt: skip


def editable(value: Any) -> str:
    """The value as text that a person can change and `session.value_of` reads; empty where it has no such text."""
    try:
        text = repr(value)
        text.encode()  # a lone surrogate would not reach the page
    except Exception:
        return ""
    return text if len(text) <= 4_000 else ""


def frame_list(frames: Sequence[Frame], ids: dict[str, str]) -> list[list[Any]]:
    """The frames for the slider: id and name of the step, whether it failed."""
    last = frames[-LISTED:]
    names = {step: printable(step, 60) for step in {frame.step for frame in last}}
    return [[ids.get(frame.step, ""), names[frame.step], frame.error is not None] for frame in last]


def records(debugger: Debugger, changed: Mapping[str, str]) -> dict[str, StepRecord]:
    """How every step stands: done or failed by its last frame, paused where the run stands, pinned.

    `changed` are the steps whose code is another one than that of their frame, with the reason.
    """
    found = past_records(debugger.trace.frames)
    for name, note in changed.items():
        record = found.setdefault(name, StepRecord())
        record.state, record.note = "changed", note
    for name in debugger.pins:
        found.setdefault(name, StepRecord()).state = "pinned"
    if debugger.current is not None:
        found.setdefault(debugger.at, StepRecord()).state = "paused"
    return found


def past_records(frames: Sequence[Frame]) -> dict[str, StepRecord]:
    """How every step stood when these frames had run."""
    found: dict[str, StepRecord] = {}
    for frame in frames:
        record = found.get(frame.step)
        if record is None:  # a run may have thousands of frames: a record is made for each step only
            record = found[frame.step] = StepRecord()
        record.count += 1
        record.seconds.append(frame.seconds)
        record.state, record.note = ("failed", first_line(frame.error)) if frame.error else ("done", "")
        record.errors += frame.error is not None
    return found


def taken(frames: Sequence[Frame]) -> dict[tuple[str, str], int]:
    """How often each arrow was followed."""
    counts: dict[tuple[str, str], int] = {}
    for frame in frames:
        for target in frame.edges:
            counts[frame.step, target] = counts.get((frame.step, target), 0) + 1
    return counts
