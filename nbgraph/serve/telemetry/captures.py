"""Captures: events recorded with their frames where they run, a sample of all, for a look in the notebook.

Which events those are follows from their ids, so that all functions of a graph record the same ones.
"""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.contract import CAPTURE_FILE, CaptureSpec
from nbgraph.debug.recorder import Recorder
from nbgraph.debug.redact import Redaction
from nbgraph.debug.trace import Trace
from nbgraph.engine.plan import Plan
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph

KEPT, MOST_BYTES = 100, 16 * 2**20  # captures, and bytes of all of them, that a worker keeps


class Captures:
    """The last recorded events, as JSON; `sample` is the part of all events that is recorded.

    >>> graph = Graph("twice")
    >>> _ = graph.to("(event * 2)", "double")
    >>> captures, event = Captures(graph, 1.0), Event(21, id="e1")
    >>> captures.plan(graph.plan(), event).answer_to(event)
    42
    >>> [frame["output"] for frame in msgspec.json.decode(captures.json())[0]["frames"]]
    [42]
    """

    def __init__(self, graph: Graph, sample: float = 0.0) -> None:
        self._redaction = Redaction(graph)
        self._below = int(sample * 2**32)
        self._kept: deque[bytes] = deque()
        self._bytes = 0

    @classmethod
    def of_project(cls, folder: Path, graph: Graph) -> Captures:
        """As the project's file says; the fields it names are dots in what is recorded."""
        path = folder / CAPTURE_FILE
        spec = msgspec.json.decode(path.read_bytes(), type=CaptureSpec) if path.is_file() else CaptureSpec()
        graph.redacted |= set(spec.redacted)
        return cls(graph, spec.sample)

    def plan(self, plan: Plan, event: Event) -> Plan:
        """The plan to run the event by: a watched one where it is in the sample."""
        if not self._below or zlib.crc32(event.id.encode()) >= self._below:
            return plan
        return replace(plan, observers=[_Capture(self, event, self._redaction), *plan.observers])

    def keep(self, trace: Trace, began: float) -> None:
        """Keep it, and forget the oldest where there are too many."""
        text = b'{"time":%.6f,' % began + trace.to_json()[1:]
        self._kept.append(text)
        self._bytes += len(text)
        while len(self._kept) > KEPT or self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popleft())

    def json(self) -> bytes:
        return b"[" + b",".join(list(self._kept)) + b"]"


class _Capture(Recorder):
    """Records one event, and hands it over when it is done."""

    def __init__(self, captures: Captures, event: Event, redaction: Redaction) -> None:
        super().__init__(redaction)
        self._captures, self._told = captures, redaction
        self._came, self._began = event.with_body(redaction.keep(event.body)), time.time()

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        super().finished(event, answers, error)
        answer, told = self._told.keep(self.answer), self._told.error(error)
        try:
            self._captures.keep(Trace(self.frames, answer=answer, error=told, event=self._came), self._began)
        except (TypeError, ValueError, RecursionError):  # values that JSON can't hold; the event itself is unharmed
            return
