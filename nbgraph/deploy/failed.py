"""Failed: what workers and dead letters tell of events that failed, as failures for the debugger."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from nbgraph.debug.failure import Failure
from nbgraph.event import Event
from nbgraph.steps.border import event_of
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
    event = Event(body, record.get("key"), record.get("id"), path, record.get("method"))
    return Failure({**told, "event": event})


def of_letter(letter: Mapping[str, Any]) -> Failure:
    """The failure that a dead letter tells of: what came to the function, and what the step that failed got."""
    event = event_of(unpack(letter["body"]), letter.get("key"), dict(letter["headers"]))
    told = {name: letter[name] for name in ("step", "error", "time", "function")}
    told["error"] = str(told["error"]).removeprefix(f'Step "{letter["step"]}" failed: ')
    trace = letter.get("frames") or [letter["trace"]]
    read = {"traceback": letter["trace"], "message": letter["id"]}
    if "input" in letter:  # else it was too large to be kept beside the message
        read["input"] = unpack(letter["input"])
    return Failure(event=event, **told, trace=trace, **read)


def _value(text: str) -> Any:
    """A value that JSON has no words for."""
    return unpack(b64decode(text))
