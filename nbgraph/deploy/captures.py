"""Captures: what the workers of a deployment recorded of an event, put together again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nbgraph.debug.trace import Trace
from nbgraph.graph.graph import Graph


def joined(captures: Iterable[Mapping[str, Any]], graph: Graph | None) -> list[Trace]:
    """A trace for every event, with the frames of all functions in the order they began; the oldest event first.

    >>> def part(time, step):
    ...     frame = {"event_id": "e1", "step": step, "visit": 1, "input": 1, "edges": [], "error": None}
    ...     return {"time": time, "event": None, "answer": step, "error": None, "frames": [frame]}
    >>> joined([part(2, "work"), part(1, "come")], None)
    [<Trace of 2 frames: come -> work>]
    """
    by_event: dict[str, list[Mapping[str, Any]]] = {}
    for capture in sorted(captures, key=lambda capture: float(capture["time"])):
        if capture["frames"]:
            by_event.setdefault(capture["frames"][0]["event_id"], []).append(capture)
    return [_whole(parts, graph) for parts in by_event.values()]


def _whole(parts: list[Mapping[str, Any]], graph: Graph | None) -> Trace:
    """The event is the one that came in first; the answer and the error are the last that there were."""
    frames = [frame for part in parts for frame in part["frames"]]
    answer = next((part["answer"] for part in reversed(parts) if part["answer"] is not None), None)
    error = next((part["error"] for part in reversed(parts) if part["error"] is not None), None)
    return Trace.from_dict({"frames": frames, "event": parts[0]["event"], "answer": answer, "error": error}, graph)
