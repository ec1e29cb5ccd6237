"""Chat: OpenAI's API over HTTP: whole completions, or chunks as server-sent events; errors as its clients read them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from nbgraph.engine.chat import INVALID, SERVER, ChatError, Completion, document_of
from nbgraph.errors import BodyError, RequestError, StepError
from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.serve.gateway.streaming import EVENTS, Send
from nbgraph.serve.reply import JSON, Reply
from nbgraph.streams.codec.wire import encode

DONE = b"data: [DONE]\n\n"
_END = object()
Given = AsyncGenerator[Any, None]  # what the graph answers, as it comes
log = logging.getLogger("nbgraph.serve")


def error_reply(error: Exception) -> Reply:
    """The reply to what went wrong, in OpenAI's form.

    >>> error_reply(ChatError("no", param="n")).body
    b'{"error":{"message":"no","type":"invalid_request_error","param":"n","code":null}}'
    """
    status, told = _told(error)
    return Reply(status, JSON, encode(told))


def _told(error: Exception) -> tuple[int, dict[str, Any]]:
    cause = error.__cause__ if isinstance(error, StepError) else None
    if isinstance(cause, RequestError):
        return _told(cause)
    if isinstance(error, ChatError):
        return error.status, document_of(str(error), INVALID, param=error.param, code=error.code)
    if isinstance(error, RefusedError | RequestError):
        kind = {429: "rate_limit_error"}.get(error.status, INVALID if error.status < 500 else SERVER)
        code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(error.status)
        return error.status, document_of(str(error), kind, code=code)
    if isinstance(error, BodyError):
        return 400, document_of(str(error), INVALID)
    if isinstance(error, TimeoutError):
        return 504, document_of("No answer in time.", SERVER)
    return 500, document_of(str(error) or type(error).__name__, SERVER)


async def fill(given: Given, completion: Completion, seconds: float) -> StepError | None:
    """Let the completion take all that the graph answers."""
    async with asyncio.timeout(seconds), aclosing(given) as answers:
        async for answer in answers:
            completion.take(answer)
    return None


async def stream(given_by: Given, completion: Completion, send: Send) -> StepError | None:
    """Send chunks as the graph answers; what fails before the first rises, what fails later ends the stream."""
    async with aclosing(given_by) as answers:
        given = await anext(answers, _END)
        chunks = [] if given is _END else completion.take(given)
        headers = [(b"content-type", EVENTS.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _send([completion.first(), *chunks], send)
        failed = await _rest(answers, completion, send) if given is not _END else None
    if failed is None:
        await _send(completion.last(), send)
        await send({"type": "http.response.body", "body": DONE, "more_body": True})
    else:
        await _send([_told(failed)[1]], send)
    await send({"type": "http.response.body", "body": b""})
    return failed if isinstance(failed, StepError) else None


async def _rest(answers: AsyncGenerator[Any, None], completion: Completion, send: Send) -> Exception | None:
    try:
        async for answer in answers:
            await _send(completion.take(answer), send)
    except StepError as error:
        return error
    except Exception as error:
        log.exception("A completion broke off in the middle")
        return error
    return None


async def _send(chunks: Sequence[Mapping[str, Any]], send: Send) -> None:
    lines = b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks)
    if lines:
        await send({"type": "http.response.body", "body": lines, "more_body": True})
