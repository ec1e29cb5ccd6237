"""Streaming: all answers to one event, sent as they come, to callers that ask for more than the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import aclosing
from typing import Any, TypeVar

from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.gateway.limits import Receive
from nbgraph.streams.codec.wire import encode

T = TypeVar("T")
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


async def send_all(track: PlanRunner, event: Event, kind: str, receive: Receive, send: Send) -> StepError | None:
    """Send every answer; an error after the first answer is the last thing sent, as `{"error": ...}`.

    What fails before anything was answered rises, so that it gets a status of its own. When the caller goes, the steps
    that are giving answers are closed.
    """
    return await while_there(_sent(track, event, kind, send), receive)


async def while_there(work: Coroutine[Any, Any, T], receive: Receive) -> T | None:
    """What sending comes to; it ends, with None, when the caller has gone."""
    sending, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return sending.result() if sending.done() else None
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.wait({sending, leaving})


async def _sent(track: PlanRunner, event: Event, kind: str, send: Send) -> StepError | None:
    async with aclosing(track.given(event)) as answers:
        line = await _next(answers, kind)
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        failed: StepError | None = None
        while line is not None:
            await send({"type": "http.response.body", "body": line, "more_body": True})
            try:
                line = await _next(answers, kind)
            except StepError as error:
                failed, line = error, None
                last = _line({"error": str(error), "step": error.step, "event": event.id}, kind)
                await send({"type": "http.response.body", "body": last, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return failed


async def gone(receive: Receive) -> None:
    """Returns when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _next(answers: AsyncGenerator[Any, None], kind: str) -> bytes | None:
    answer = await anext(answers, _END)
    return None if answer is _END else _line(answer, kind)


def _line(answer: Any, kind: str) -> bytes:
    text = encode(answer)
    return b"data: " + text + b"\n\n" if kind == EVENTS else text + b"\n"
