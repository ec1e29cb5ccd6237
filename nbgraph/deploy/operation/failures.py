"""Failures and captures: what workers and dead letters report of events, for the debugger."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from nbgraph.contract import CAPTURES_PATH, FAILURES_PATH, beside_metrics
from nbgraph.debug.trace import Trace
from nbgraph.deploy.backend import Backend
from nbgraph.deploy.counts import told_at
from nbgraph.event import Event
from nbgraph.failure import Failure, QueueOrigin
from nbgraph.graph.graph import Graph
from nbgraph.steps.operators.queue import read_event
from nbgraph.streams.base import DamageError
from nbgraph.streams.codec.wire import unpack


def failures_of(hosted: Backend) -> list[Failure]:
    """The events that failed last, of callers and of queues, the newest first."""
    every = [failure for place in _places(hosted) for failure in json.loads(told_at(place) or "[]")]
    told = [json.loads(one) for one in dict.fromkeys(map(json.dumps, every))]  # workers may share what they keep
    found = [*map(of_worker, told), *map(of_letter, hosted.letters())]
    return sorted(found, key=lambda failure: float(failure.time), reverse=True)


def forget_failure(hosted: Backend, event: Event) -> None:
    """Let no worker report the failure of an event any more."""
    for place in _places(hosted):
        httpx.delete(f"{place}/{event.id}", trust_env=False)


def _places(hosted: Backend) -> list[str]:
    """Where workers report failures."""
    return [beside_metrics(url, FAILURES_PATH) for _, url in hosted.sources()]


def of_worker(told: Mapping[str, Any]) -> Failure:
    """The failure that a worker keeps of an event that a caller sent.

    >>> told = {"event": {"body": 0, "id": "e1"}, "step": "inverse", "error": "by zero", "trace": [], "time": 0}
    >>> of_worker(told).event.id
    'e1'
    """
    record = told["event"]
    body = _value(told["values"]) if "values" in told else record.get("body")
    path, params = record.get("path") or "/", record.get("params")
    event = Event(body, record.get("key"), record.get("id"), path, record.get("method"), params=params)
    kept = {"input": _value(told["input"])} if "input" in told else {}
    return Failure(event=event, step=told["step"], error=told["error"], trace=told["trace"], time=told["time"], **kept)


def of_letter(letter: Mapping[str, Any]) -> Failure:
    """The failure that a dead letter tells of: what came to the function, and what the step that failed got."""
    step, text = str(letter.get("step", "")), str(letter.get("trace", ""))
    error = str(letter.get("error", "")).removeprefix(f'Step "{step}" failed: ')
    origin = QueueOrigin(str(letter.get("function", "")), letter["id"])
    kept = {"input": _read(letter["input"])} if "input" in letter else {}  # else it was too large to be kept
    frames = letter.get("frames")
    trace = frames if isinstance(frames, list) and frames else [text]
    return Failure(
        event=_event(letter), step=step, error=error, time=_seconds(letter), trace=trace, traceback=text, origin=origin,
        **kept,
    )  # fmt: skip


def _event(letter: Mapping[str, Any]) -> Event:
    """The event, as far as it can be read: of what is damaged the bytes as they came."""
    body, headers = _read(letter["body"]), dict(letter["headers"])
    headers.setdefault("Event-Id", letter["id"])
    try:
        return read_event(body, letter.get("key"), headers)
    except DamageError:
        return Event(body, id=headers["Event-Id"])


def _read(packed: Any) -> Any:
    try:
        return unpack(packed)
    except Exception:  # whatever reading foreign bytes comes to
        return packed


def _seconds(letter: Mapping[str, Any]) -> float:
    found = letter.get("time")
    return float(found) if isinstance(found, int | float) else 0.0


def _value(text: str) -> Any:
    """A value that JSON has no words for."""
    return unpack(b64decode(text))


# Captures: what the workers of a deployment recorded of an event, put together again.


def captures_of(hosted: Backend, graph: Graph | None) -> list[Trace]:
    """The events that were recorded last, the newest last."""
    places = [beside_metrics(url, CAPTURES_PATH) for _, url in hosted.sources()]
    return joined([capture for place in places for capture in json.loads(told_at(place) or "[]")], graph)


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
