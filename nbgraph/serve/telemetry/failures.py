"""Failures: the last events that came to this worker from a caller and that no handler could save."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.errors import StepError
from nbgraph.event import Event, decode
from nbgraph.serve.telemetry.step_metrics import Seen
from nbgraph.streams.codec.wire import UNFIT, VALUES, encode, is_json, pack, shown

KEPT, MOST = 100, 100  # failures, and frames of each
LONGEST = 2**18  # bytes of one value; beyond, its beginning is shown


class Failures:
    """Keeps events that failed, the latest first, as JSON; in a folder as well, where they outlive the worker.

    The body is taken from the bytes that came in, since steps may change what they are given; what the steps saw is
    shown as it was when the event failed.

    >>> failures, event = Failures(), Event({"x": 0})
    >>> failures.keep(event, b'{"x": 0}', [], StepError("divide", event, ZeroDivisionError("by zero")))
    >>> b'"step":"divide"' in failures.json()
    True
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: dict[str, bytes] = {}  # where there is no folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, event: Event, body: bytes, seen: Sequence[Seen], error: StepError) -> None:
        is_exact = event.headers.get("content-type") == VALUES
        came = _written(event.body if is_exact else decode(body, event.content_type))
        failure: dict[str, Any] = {
            "event": {
                "body": came,
                "key": event.key,
                "id": event.id,
                "path": event.path,
                "method": event.method,
                **({"params": event.params} if event.params else {}),
            },
            "step": error.step,
            "error": f"{type(error.__cause__).__name__}: {error.__cause__}",
            "trace": frames_of(seen),
            "time": time.time(),
        }
        if is_exact and len(body) <= LONGEST:
            failure["values"] = body  # in base64, since it is JSON
        failure |= _values(error.event.body)
        self._add(f"{time.time_ns():020}-{secrets.token_hex(2)}.json", encode(failure))
        for oldest in list(self._all())[:-KEPT]:
            self._drop(oldest)

    def forget(self, id: str) -> None:
        """Keep the failures of that event no longer: it was run again."""
        for name, kept in self._all().items():
            if msgspec.json.decode(kept)["event"]["id"] == id:
                self._drop(name)

    def json(self) -> bytes:
        return b"[" + b",".join(reversed(self._all().values())) + b"]"

    def _all(self) -> dict[str, bytes]:
        """The oldest first; those in the folder are of all workers that share it."""
        if self._folder is None:
            return dict(self._kept)
        found = {}
        for file in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):  # another worker has dropped it
                found[file.name] = file.read_bytes()
        return found

    def _add(self, name: str, failure: bytes) -> None:
        if self._folder is None:
            self._kept[name] = failure
            return
        unfinished = self._folder / f"{name}.part"
        unfinished.write_bytes(failure)
        unfinished.replace(self._folder / name)

    def _drop(self, name: str) -> None:
        self._kept.pop(name, None)
        if self._folder is not None:
            (self._folder / name).unlink(missing_ok=True)


def frames_of(seen: Sequence[Seen]) -> list[Any]:
    """The last calls of steps before something failed, in plain data.

    >>> frames_of([Seen("double", 21, 42, None, 0.5)])
    [{'step': 'double', 'input': 21, 'output': 42, 'error': None, 'seconds': 0.5}]
    """
    frames: list[Any] = msgspec.json.decode(encode([_frame(call) for call in seen[-MOST:]]))
    return frames


def _frame(call: Seen) -> dict[str, Any]:
    error = f"{type(call.error).__name__}: {call.error}" if call.error is not None else None
    values = {"input": _written(call.input), "output": _written(call.output)}
    return {"step": call.step, **values, "error": error, "seconds": call.seconds}


def _values(body: Any) -> dict[str, bytes]:
    """What the step that failed got, where JSON would make something else of it."""
    with contextlib.suppress(*UNFIT):
        packed = pack(body)
        if len(packed) <= LONGEST and not is_json(body):
            return {"input": packed}
    return {}


def _written(value: Any) -> Any:
    """The value in JSON, or how it shows itself where JSON can't hold it."""
    try:
        text = encode(value.body if isinstance(value, Event) else value)
    except Exception:  # whatever a value of the user's raises when it is looked at
        text = b""
    return msgspec.Raw(text) if text and len(text) <= LONGEST else shown(value)
