"""Dead letters as bytes: whole, or without what makes them larger than the broker takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbgraph.streams.base import Message

TRACE = 20_000  # characters of a traceback that are kept at least, those at its end
DEEPEST = 50  # levels of a letter that are kept apart where it has to be made plain
UNREADABLE = "This dead letter was not written by nbgraph, or is damaged."
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
        written = _written(letter)
        if len(written) + OVERHEAD <= largest:
            break
    return written


def read_letter(written: bytes, place: str) -> dict[str, Any]:
    """The letter that `letter_of` wrote; what else stands among the letters is shown as one, known by its place.

    >>> read_letter(letter_of(Message("m1", b"body"), {"step": "s"}, 5000), "1")["id"]
    'm1'
    >>> read_letter(b"\\xc1", "1")["error"]
    'This dead letter was not written by nbgraph, or is damaged.'
    """
    try:
        letter = msgspec.msgpack.decode(written)
        msgspec.convert(letter, _LetterRecord)
    except Exception:  # whatever reading foreign bytes comes to
        return {"id": place, "headers": {}, "body": written, "error": UNREADABLE, "step": "", "time": 0.0}
    return dict(letter)


class _LetterRecord(msgspec.Struct):
    """What is in every letter."""

    id: str
    headers: dict[str, str]
    body: bytes


def _written(letter: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.msgpack.encode(letter, enc_hook=repr)
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError, ValueError):
        return msgspec.msgpack.encode({_text(name): _plain(value) for name, value in letter.items()})


def _plain(value: Any, depth: int = 0) -> Any:
    """A value of a letter, without what MessagePack has no bytes for."""
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {_text(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, bytes | float | bool) or (isinstance(value, int) and abs(value) < 1 << 63):
        return value
    return _text(value)


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


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
