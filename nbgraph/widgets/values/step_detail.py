"""The detail of one step, for the panel that opens on a click: its last event, its figures, its code."""

from __future__ import annotations

import inspect
import linecache
import sys
import sysconfig
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from nbgraph.graph.graph import Graph
from nbgraph.render.printable import printable
from nbgraph.render.step_kind import resolved, spec_of
from nbgraph.widgets.live.activity import RunActivity
from nbgraph.widgets.live.step_record import InnerCall, StepRecord
from nbgraph.widgets.values.preview import differences
from nbgraph.widgets.values.rich import is_rich

CODE = 20_000  # characters of a handler's source
_PATHS = sysconfig.get_paths()
LIBRARIES = (_PATHS["stdlib"], _PATHS["purelib"], str(Path(__file__).parents[2]), "<frozen")


def inspected(graph: Graph, monitor: RunActivity, step: str) -> dict[str, Any]:
    """Input, output and error of the step's last event, its times, its code."""
    record = monitor.record(step) or StepRecord()
    now = record.now()
    line = record.line
    facts = {"p50 ms": now.middle, "p95 ms": now.slow, "slowest ms": record.slowest()}
    statistics = {
        "state": now.state, "events": now.events, "errors": now.errors,
        "errors, %": round(100 * now.errors / now.events, 2) if now.events else 0, "events/s": now.rate,
        **({"waiting": line.waiting} if line.waiting or line.most else {}),
        **({"queue holds": line.most} if line.most else {}),
    }  # fmt: skip
    return {
        "name": printable(step, 200), "facts": facts, "statistics": statistics, "note": now.note,
        "printed": record.printed,
        "code": code_of(graph, step), "isHeld": record.line.is_held,
        "inside": [_inner(inner, monitor) for inner in list(record.inside)],
        **_last(record, monitor),
    }  # fmt: skip


def _last(record: StepRecord, monitor: RunActivity) -> dict[str, Any]:
    move = record.last
    if move is None:
        return {"event": "", "input": None, "output": None, "error": "", "reason": "", "seconds": 0, "goes": []}
    return {
        "event": printable(str(move.event.id), 80),
        "visit": move.visit,
        "input": record.input or {**monitor.shown(move.input), "late": True},
        "output": None if move.error else (record.output or {**monitor.shown(move.output), "late": True}),
        "diff": [] if move.error else differences(move.input, move.output, monitor.redaction),
        "inputIsRich": is_rich(move.input),
        "outputIsRich": is_rich(move.output),
        "error": monitor.redaction.text(traceback_of(move.error)),
        "reason": printable(monitor.redaction.text(move.reason), 400),
        "seconds": move.seconds,
        "goes": [printable(name, 80) for name in move.edges],
        "dropped": move.dropped,
    }


def _inner(inner: InnerCall, monitor: RunActivity) -> dict[str, Any]:
    """A call that the step made itself."""
    return {
        "step": printable(inner.name, 80),
        "ms": inner.milliseconds,
        "error": monitor.error_line(inner.error),
        "reason": "",
        "printed": "",
        "input": monitor.shown(inner.input),
        "output": None if inner.error else monitor.shown(inner.output),
    }


def traceback_of(error: BaseException | None) -> str:
    """The user's part of the traceback, with the errors that led to it: frames of this package are left out.

    >>> try:
    ...     raise RuntimeError("no p") from KeyError("p")
    ... except RuntimeError as error:
    ...     formatted = traceback_of(error)
    >>> formatted.splitlines()[0], formatted.splitlines()[-1]
    ("KeyError: 'p'", 'RuntimeError: no p')
    """
    if error is None:
        return ""
    formatted = traceback.TracebackException.from_exception(error)
    _trim(formatted)
    listed = "".join(formatted.format()).splitlines()
    lines = [line for line in listed if line.strip(" ^~") or not line]  # marks miss a line that is folded
    return "\n".join(lines)[-8_000:].encode("utf-8", "backslashreplace").decode()


def line_of(frame: FrameType | None) -> str:
    """The line of the user's own code that is under way: `Cell In[3], line 4: time.sleep(30)`; empty without one."""
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    if frame is None:
        return ""
    name, number = frame.f_code.co_filename, frame.f_lineno
    return printable(f"{_file_name(name)}, line {number}: {linecache.getline(name, number).strip()}", 160)


def _file_name(name: str) -> str:
    """A cell as the notebook calls it."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    cell = shell.compile.format_code_name(name) if shell is not None else None
    return " ".join(cell) if cell is not None else name


def _trim(formatted: traceback.TracebackException) -> None:
    """Leave out the frames of the engine, and name cells as the notebook does, in all errors of a chain."""
    waiting, seen = [formatted], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for frame in one.stack:
            frame.filename = _file_name(frame.filename)
        one.stack[:] = [frame for frame in one.stack if "nbgraph/engine" not in frame.filename]
        waiting += [each for each in (one.__cause__, one.__context__, *(one.exceptions or ())) if each is not None]


def code_of(graph: Graph, step: str) -> str:
    """The source text of a step's handler, empty where there is none."""
    handler = resolved(*spec_of(graph, step))
    if isinstance(handler, str):
        return handler
    wanted: Any = handler if inspect.isroutine(handler) or isinstance(handler, type) else type(handler)
    try:
        return inspect.getsource(wanted)[:CODE]
    except (OSError, TypeError):
        return ""
