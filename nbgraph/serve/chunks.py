"""Chunks: all answers to one event, sent as they come, to callers that ask for more than the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from nbgraph.engine import loop
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.serve.track import Track
from nbgraph.streams.wire import encode

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LINES, EVENTS = "application/x-ndjson", "text/event-stream"
_END = object()


def wanted(headers: MutableMapping[str, str]) -> str | None:
    """The form in which a caller accepts several answers: JSON lines or server-sent events; None for just one answer.

    >>> wanted({"accept": "text/event-stream"}), wanted({"accept": "*/*"})
    ('text/event-stream', None)
    """
    accepted = headers.get("accept", "")
    if accepted in ("", "*/*"):  # most callers; every event pays for what is asked here
        return None
    return next((kind for kind in (EVENTS, LINES) if kind in accepted), None)


async def send_all(track: Track, event: Event, kind: str, send: Send) -> StepError | None:
    """Send every answer; an error after the first answer is the last thing sent, as `{"error": ...}`.

    What fails before anything was answered rises, so that it gets a status of its own.
    """
    drawing = partial(next, track.plan.answers(event), _END)
    draw = partial(loop.on_thread if track.plan.is_async else track.look, drawing)  # an async plan waits by itself
    answer = await draw()
    headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    failed: StepError | None = None
    while answer is not _END:
        await _send(answer, kind, send)
        try:
            answer = await draw()
        except StepError as error:
            failed, answer = error, _END
            await _send({"error": str(error), "step": error.step}, kind, send)
    await send({"type": "http.response.body", "body": b""})
    return failed


async def _send(answer: Any, kind: str, send: Send) -> None:
    text = encode(answer)
    line = b"data: " + text + b"\n\n" if kind == EVENTS else text + b"\n"
    await send({"type": "http.response.body", "body": line, "more_body": True})
