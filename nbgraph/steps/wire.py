"""Wire: bodies as bytes, with the content type that brings them back."""

from __future__ import annotations

from typing import Any

import msgspec

from nbgraph.streams.wire import encode

JSON = "application/json"


def packed(body: Any) -> tuple[bytes, str]:
    """The bytes of a body and their content type: bytes and text as they are, all else as JSON.

    >>> packed({"a": 1}), packed("hello"), packed(b"x")
    ((b'{"a":1}', 'application/json'), (b'hello', 'text/plain'), (b'x', 'application/octet-stream'))
    """
    if isinstance(body, bytes | bytearray):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain"
    return encode(body), JSON


def text(value: Any) -> str | None:
    """A key as the text that a message carries; None stays None.

    >>> text("card-7"), text(7), text(None)
    ('card-7', '7', None)
    """
    return None if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
