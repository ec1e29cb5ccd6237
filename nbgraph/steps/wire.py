"""Wire: bodies as bytes, with the content type that brings them back."""

from __future__ import annotations

from typing import Any

import msgspec

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
    return msgspec.json.encode(body, enc_hook=plain), JSON


def plain(value: Any) -> Any:
    """What JSON can hold in the place of a number or an array of numpy, pandas, torch; for `msgspec`'s `enc_hook`."""
    for method in ("item", "tolist"):
        if callable(convert := getattr(value, method, None)):
            try:
                return convert()
            except (ValueError, RuntimeError):  # `item` of an array of many
                continue
    raise NotImplementedError(f"a {type(value).__name__} has no form in JSON; let a step before turn it into a dict")


def text(value: Any) -> str | None:
    """A key as the text that a message carries; None stays None.

    >>> text("card-7"), text(7), text(None)
    ('card-7', '7', None)
    """
    return None if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
