"""Failed: what workers and dead letters tell of events that failed, as failures for the debugger."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from nbgraph.debug.failure import Failure
from nbgraph.event import Event
from nbgraph.steps.border import read_event
from nbgraph.streams.base import DamageError
from nbgraph.streams.wire import unpack


def of_worker(told: Mapping[str, Any]) -> Failure:
    """The failure that a worker keeps of an event that a caller sent.

    >>> told = {"event": {"body": 0, "id": "e1"}, "step": "inverse", "error": "by zero", "trace": [], "time": 0}
    >>> of_worker(told).event.id
    'e1'
    """
    record = told["event"]
    path = record.get("path") or "/"
    told = {name: _value(item) if name in ("values", "input") else item for name, item in told.items()}
    body = told.pop("values", record.get("body"))
    event = Event(body, record.get("key"), record.get("id"), path, record.get("method"), params=record.get("params"))
    return Failure({**told, "event": event})


def of_letter(letter: Mapping[str, Any]) -> Failure:
    """The failure that a dead letter tells of: what came to the function, and what the step that failed got."""
    step, text = str(letter.get("step", "")), str(letter.get("trace", ""))
    error = str(letter.get("error", "")).removeprefix(f'Step "{step}" failed: ')
    read = {"traceback": text, "message": letter["id"], "function": str(letter.get("function", ""))}
    if "input" in letter:  # else it was too large to be kept beside the message
        read["input"] = _read(letter["input"])
    frames = letter.get("frames")
    trace = frames if isinstance(frames, list) and frames else [text]
    return Failure(event=_event(letter), step=step, error=error, time=_seconds(letter), trace=trace, **read)


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
