"""Reply: an answer or an error as an HTTP response."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from nbgraph.streams.codec.wire import encode

JSON, TEXT, BYTES = "application/json", "text/plain; charset=utf-8", "application/octet-stream"


class Reply(NamedTuple):
    """Status, content type (empty where there is no body), body, and headers beside the usual ones."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def reply_of(answer: Any) -> Reply:
    """Text and bytes as they are, nothing as 204, all else as JSON.

    >>> reply_of({"p": 0.9})
    Reply(status=200, content_type='application/json', body=b'{"p":0.9}', headers=())
    >>> reply_of(None).status, reply_of("hello").content_type
    (204, 'text/plain; charset=utf-8')
    """
    if answer is None:
        return Reply(204, "", b"")
    if isinstance(answer, str):
        return Reply(200, TEXT, answer.encode("utf-8", "replace"))
    if isinstance(answer, bytes | bytearray):
        return Reply(200, BYTES, bytes(answer))
    return Reply(200, JSON, encode(answer))


def error_of(status: int, message: str, **fields: Any) -> Reply:
    """An error as JSON, without a stack trace."""
    return Reply(status, JSON, json.dumps({"error": message, **fields}).encode())
