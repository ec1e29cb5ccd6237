"""Envelope: the key and the headers beside a message's body over brokers, as one text of JSON."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec

from nbgraph.streams.base import DamageError, Message

LONGEST = 500  # characters of an id that a broker is given as it is
DEEPEST = 20  # lists within lists of a key
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[str | int | float | bool | None, dict[str, str]])


def is_plain(id: str) -> bool:
    """Whether an id stays what it is as a header of any broker.

    >>> is_plain("e1/q.1"), is_plain("é"), is_plain(" a"), is_plain("x" * 501)
    (True, False, False, False)
    """
    return len(id) <= LONGEST and id.isascii() and id.isprintable() and id == id.strip()


def told_of(message: Message) -> str:
    """Key and headers; also the id, where a broker's header does not hold it.

    >>> told_of(Message("m1", b"", "k", {"Event-Id": "e1"})), told_of(Message("é", b"", ("a", 1)))
    ('["k",{"Event-Id":"e1"}]', '[["a",1],{},"\\\\u00e9"]')
    """
    told = [message.key, dict(message.headers)]
    if not is_plain(message.id):
        told.append(message.id)
    elif message.key is None or type(message.key) is str:  # as nearly every one; in a tenth of the time
        with contextlib.suppress(UnicodeEncodeError):  # half of a pair of surrogates
            text = _encoder.encode(told)
            if text.isascii():
                return text.decode()
    return json.dumps(told, default=repr, separators=(",", ":"))


def read(text: str | bytes) -> tuple[Any, dict[str, str], str]:
    """What `told_of` has told: key, headers, and the id, empty where it is not among them.

    >>> read(b'["k",{"Event-Id":"e1"}]')
    ('k', {'Event-Id': 'e1'}, '')
    >>> read("[1")
    Traceback (most recent call last):
    nbgraph.streams.base.DamageError: Its key and headers can't be read: it is no JSON: '[1'
    """
    try:
        return (*_decoder.decode(text), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_any(text)


def _read_any(text: str | bytes) -> tuple[Any, dict[str, str], str]:
    """As `read`, of what JSON in the narrow sense is not, or what is more than a text or a number."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _damage("it is no JSON", text) from None
    if type(found) is not list or len(found) not in (2, 3):
        raise _damage("it is no list of two or three", text)
    key, headers, id = found if len(found) == 3 else (*found, "")
    if not _is_key(key, DEEPEST):
        raise _damage("its key is no text, number or list of these", text)
    if type(headers) is not dict or not all(type(value) is str for value in headers.values()):
        raise _damage("its headers are no texts by name", text)
    if type(id) is not str:
        raise _damage("its id is no text", text)
    return key, headers, id


def _is_key(key: Any, depth: int) -> bool:
    if type(key) is list:
        return depth > 0 and all(_is_key(part, depth - 1) for part in key)
    return key is None or type(key) in (str, int, float, bool)


def _damage(why: str, text: str | bytes) -> DamageError:
    return DamageError(f"Its key and headers can't be read: {why}: {text[:200]!r}")
