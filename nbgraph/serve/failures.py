"""Failures: the last events that no handler could save, kept for the debugger until dead letters have a queue."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from nbgraph.engine.observer import Move, Observer
from nbgraph.errors import StepError
from nbgraph.event import Event, decode
from nbgraph.serve.answer import encode

KEPT = 100  # failures
LONGEST = 2**20  # bytes of one failure; beyond, what the steps saw is left out


class Failures(Observer):
    """Remembers what each step of an event in flight saw, and keeps it when the event fails.

    The body is kept as the bytes that came in, since steps may change what they are given; the frames show their
    values as they were when the event failed.

    >>> failures = Failures()
    >>> event = Event({"x": 0})
    >>> failures.received(event, b'{"x": 0}')
    >>> failures.finished(event, [], StepError("divide", event, ZeroDivisionError("by zero")))
    >>> b'"step":"divide"' in failures.json()
    True
    """

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._received: dict[str, bytes] = {}
        self._moves: dict[str, list[Move]] = {}

    def received(self, event: Event, body: bytes) -> None:
        """The gateway has taken an event, of this body."""
        self._received[event.id] = body
        self._moves[event.id] = []

    def after(self, move: Move) -> None:
        moves = self._moves.get(move.event.id)
        if moves is not None and len(moves) < 1000:
            moves.append(move)

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        received, moves = self._received.pop(event.id, b""), self._moves.pop(event.id, [])
        if error is not None:
            body = decode(received, event.content_type)
            self._kept.append(_written(event, body, moves, error))

    def json(self) -> bytes:
        """All that is kept, the latest first, as a JSON list."""
        return b"[" + b",".join(reversed(self._kept)) + b"]"


def _written(event: Event, body: Any, moves: Sequence[Move], error: StepError) -> bytes:
    failure = {
        "event": {"body": body, "key": event.key, "id": event.id, "path": event.path, "method": event.method},
        "step": error.step,
        "error": f"{type(error.__cause__).__name__}: {error.__cause__}",
        "trace": [_frame(move) for move in moves],
        "time": time.time(),
    }
    try:
        text = encode(failure)
    except Exception:  # a body that JSON can't hold
        text = b""
    if text and len(text) <= LONGEST:
        return text
    return encode({**failure, "event": {"id": event.id, "body": repr(body)[:1000]}, "trace": []})


def _frame(move: Move) -> dict[str, Any]:
    error = f"{type(move.error).__name__}: {move.error}" if move.error is not None else None
    return {
        "step": move.step, "visit": move.visit, "input": move.input, "output": move.output, "error": error,
        "seconds": move.seconds, "edges": move.edges, "reason": move.reason,
    }  # fmt: skip
