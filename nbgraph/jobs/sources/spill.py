"""Spill: rows of a source that only one process can read, in files that any worker reads, block by block."""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from nbgraph.event import Event
from nbgraph.streams.codec.values import UnfitError, freeze, is_plain

BLOCK = 1000  # rows that are written together
_HEAD = struct.Struct("<cQ")  # the kind of a block, and its bytes


def spill(rows: Iterable[Any], path: Path) -> tuple[int, str]:
    """Write all rows; their number, and a hash of them.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "rows")
    >>> number, told = spill([{"a": 1}, (2, {3})], path)
    >>> number, list(spilled(path))
    (2, [{'a': 1}, (2, {3})])
    """
    number, told = 0, hashlib.sha256()
    left = iter(rows)
    with path.open("xb") as file:
        while block := list(islice(left, BLOCK)):
            number += len(block)
            told.update(_add(file, block))
    return number, told.hexdigest()


def add(file: BinaryIO, block: list[Any]) -> None:
    """Write some rows behind those that are there."""
    _add(file, block)


def spilled(path: Path) -> Iterator[Any]:
    """The rows of such a file, as they were."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            kind, size = _HEAD.unpack(head)
            data = file.read(size)
            yield from msgspec.msgpack.decode(data) if kind == b"m" else pickle.loads(data)


def hash_of(rows: Iterable[Any]) -> str:
    """The hash that `spill` tells, where nothing is written."""
    told, left = hashlib.sha256(), iter(rows)
    while block := list(islice(left, BLOCK)):
        told.update(_packed(block)[1])
    return told.hexdigest()


class HashedRows:
    """Rows on their way to somebody else; `told` is the hash that `spill` would tell of those that have come.

    >>> rows = HashedRows([{"a": 1}])
    >>> list(rows), rows.told == hash_of([{"a": 1}])
    ([{'a': 1}], True)
    """

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows, self._hash = rows, hashlib.sha256()

    def __iter__(self) -> Iterator[Any]:
        left = iter(self._rows)
        while block := list(islice(left, BLOCK)):
            self._hash.update(_packed(block)[1])  # before anybody changes a row
            yield from block

    @property
    def told(self) -> str:
        return self._hash.hexdigest()


def _add(file: BinaryIO, block: list[Any]) -> bytes:
    (kind, data), told = _packed(block)
    file.write(_HEAD.pack(kind, len(data)) + data)
    return told


def _packed(block: list[Any]) -> tuple[tuple[bytes, bytes], bytes]:
    """The block as bytes, and bytes that are the same wherever it is the same."""
    if is_plain(block):
        try:
            data = msgspec.msgpack.encode(block)
            return (b"m", data), data
        except (OverflowError, UnicodeEncodeError):  # a number or a text that MessagePack has no room for
            pass
    import cloudpickle  # not in images, where a module may name Job all the same

    data = cloudpickle.dumps(block)
    try:
        # pickles tell which objects were one, which may be another thing at the next reading
        told = freeze([_given(row) for row in block])
    except UnfitError:
        told = data
    return (b"p", data), told


def _given(row: Any) -> Any:
    """What an Event was made of, without the id and the time that it gets when they are asked for."""
    if not isinstance(row, Event):
        return row
    state: Any = row.__getstate__()
    return list(state[1].values())
