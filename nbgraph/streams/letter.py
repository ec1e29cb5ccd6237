"""Dead letters as bytes: whole, or without what makes them larger than the broker takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbgraph.streams.base import Message

TRACE = 20_000  # characters of a traceback that are kept at least, those at its end
OVERHEAD = 4096  # bytes that the broker's own headers may take


def letter_of(message: Message, reason: Mapping[str, Any], largest: int) -> bytes:
    """A message, and why it is among the dead letters, in at most `largest` bytes.

    What is left out first is what was recorded on the way; then what the step got, which the message most often tells
    too; the message itself last. A letter that could not be kept would bring the message back for ever.

    >>> message, reason = Message("m1", b"body"), {"error": "boom", "trace": "", "frames": ["x" * 5000]}
    >>> sorted(msgspec.msgpack.decode(letter_of(message, reason, 5000)))
    ['body', 'error', 'headers', 'id', 'trace']
    """
    written = b""
    for letter in _lighter(message, reason):
        written = msgspec.msgpack.encode(letter, enc_hook=repr)
        if len(written) + OVERHEAD <= largest:
            break
    return written


def _lighter(message: Message, reason: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    letter = {**reason, "id": message.id, "headers": dict(message.headers), "body": message.body}
    yield letter
    letter.pop("frames", None)
    yield letter
    letter["trace"] = str(letter.get("trace", ""))[-TRACE:]
    letter.pop("input", None)
    yield letter
    told = f"({len(message.body):,} bytes, more than the broker takes beside the reason)"
    yield letter | {"body": msgspec.msgpack.encode(told)}
