"""Result: the reply to what a run came to, an answer or an error."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from nbgraph.errors import RequestError, StepError
from nbgraph.event import Event
from nbgraph.serve.gateway.open_inference import refusal, reply_to
from nbgraph.serve.queues.reply_waiters import RemoteError
from nbgraph.serve.reply import Reply, error_of, reply_of
from nbgraph.streams.base import MessageTooLargeError
from nbgraph.streams.codec.values import UnfitError
from nbgraph.streams.codec.wire import VALUES, AnswerError

log = logging.getLogger("nbgraph.serve")


def reply_of_run(event: Event, result: Callable[[], Any]) -> Reply:
    """The reply to an answer, or to what was raised.

    >>> reply_of_run(Event(1, id="e1"), lambda: {"p": 0.9}).status
    200
    """
    try:
        return reply_to(result(), exactly=VALUES in event.headers.get("accept", ""))
    except Exception as error:
        return reply_of_error(event, error)


def reply_of_error(event: Event, error: Exception) -> Reply:
    """The reply that names the step that failed, without a stack trace.

    >>> reply_of_error(Event(1, id="e1"), StepError("score", Event(1), ValueError("no card"))).body
    b'{"error": "Step \\\\"score\\\\" failed: ValueError: no card", "step": "score", "event": "e1"}'
    """
    if isinstance(error, StepError):
        if error.answer is not None:  # the responder had answered before a later branch failed
            return reply_of(error.answer)
        if isinstance(error.__cause__, RequestError):
            return refusal(error.__cause__)
        status = 413 if isinstance(error.__cause__, MessageTooLargeError) else 500
        return error_of(status, str(error), step=error.step, event=event.id)
    if isinstance(error, RequestError):
        return refusal(error)
    if isinstance(error, RemoteError):
        return error_of(error.status, str(error), event=event.id, **({"step": error.step} if error.step else {}))
    if isinstance(error, AnswerError | UnfitError):
        log.error("%s", error, extra={"event": event.id})
        return error_of(500, str(error), event=event.id)
    log.error("The graph failed outside of its steps", exc_info=error, extra={"event": event.id})
    return error_of(500, f"{type(error).__name__}: {error}", event=event.id)
