"""StatePages: the values of one shard, kept by the broker so that what an event costs does not grow with their number.

Kept are a base, which has every page, in pieces, and a tail: the pages that have changed since, and a head, what is
told beside them. Every change is one write of the tail, and of nothing else; that write names the revision that it
follows, so that of two workers at one shard only one gets through. A tail that has grown long becomes a new base.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nbgraph.errors import NbgraphError
from nbgraph.streams.base import Broker
from nbgraph.streams.codec.values import freeze, thaw

Changes = Mapping[bytes, bytes | None]  # by path; None: the page is gone
SHORT, LONG = 2**13, 2**18  # bytes of a tail: it may always have so many, and never more
SHARE = 16  # in between it may have this part of the base
PIECE = 2**19  # bytes of a piece of the base
TRIES = 20  # readings of a tail whose base is just being replaced


@dataclass(frozen=True, slots=True)
class _Base:
    """Where the pieces of a base are, and the mark they bear."""

    mark: str = ""
    pieces: list[str] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class _TailPage:
    """What the tail's place has."""

    base: _Base
    tail: dict[bytes, bytes | None]
    head: bytes


class StatePages:
    """The pages of one shard as this worker knows them; only one task at a time may use them.

    `values` are all pages by their paths, `head` is what was told beside them, `revision` that of the last write.
    """

    def __init__(self, broker: Broker, name: str) -> None:
        self.name = name
        self.values: dict[bytes, bytes] = {}
        self.head: dict[str, Any] = {}
        self.revision = 0
        self._broker = broker
        self._base, self._tail = _Base(), dict[bytes, bytes | None]()
        self._bases = 0  # written here: they take turns in two places, so that one is whole while the next is written
        self._place = f"{name}/{os.urandom(6).hex()}"  # this worker's own: nobody can write over another's base

    async def refresh(self) -> Changes | None:
        """Read what others have written; the pages that are other than before, or None where any may be."""
        for _ in range(TRIES):
            found, revision = await self._broker.kept(self.name)
            if revision == self.revision:
                return {}
            kept = _read(found)
            if found is not None and kept.base.mark == self._base.mark:
                changed = {path: page for path, page in kept.tail.items() if self.values.get(path) != page}
                self._take(self.values, kept, revision)
                return changed
            values = await self._pieces(kept.base)
            if values is not None:
                self._take(values, kept, revision)
                return None
        raise NbgraphError(f'The state "{self.name}" has lost its base: what it names is not there.')

    async def write(self, changes: Changes, head: dict[str, Any]) -> None:
        """Keep the changed pages and the head; `StaleError` where somebody else has written since."""
        old, tail = self._base, {**self._tail, **changes}
        if _size(tail) > max(SHORT, min(old.size // SHARE, LONG)):
            base, tail = await self._new_base(_changed(dict(self.values), changes)), {}
        else:
            base = old
        packed = _encoder.encode(_TailPage(base, tail, freeze(head)))
        self.revision = await self._broker.keep(self.name, packed, self.revision)
        _changed(self.values, changes)
        self._base, self._tail, self.head = base, tail, head
        if base is not old:
            self._bases += 1
            for piece in old.pieces:
                await self._broker.keep(piece, b"")

    def _take(self, values: dict[bytes, bytes], kept: _TailPage, revision: int) -> None:
        self.values = _changed(values, kept.tail)
        self._base, self._tail, self.revision = kept.base, kept.tail, revision
        self.head = thaw(kept.head)

    async def _new_base(self, values: Mapping[bytes, bytes]) -> _Base:
        mark, pieces, size = os.urandom(6).hex(), [], 0
        for number, piece in enumerate(_cut(values)):
            packed = _encoder.encode([mark, piece])
            pieces.append(f"{self._place}/{self._bases % 2}.{number}")
            size += len(packed)
            await self._broker.keep(pieces[-1], packed)
        return _Base(mark, pieces, size)

    async def _pieces(self, base: _Base) -> dict[bytes, bytes] | None:
        """All pages of a base; None where it is no longer there, since a newer one has taken its place."""
        values: dict[bytes, bytes] = {}
        for name in base.pieces:
            found, _ = await self._broker.kept(name)
            mark, piece = _pieces.decode(found) if found else ("", {})
            if mark != base.mark:
                return None
            values |= piece
        return values


async def head_of(broker: Broker, name: str) -> dict[str, Any]:
    """What is told beside the pages of that name, without reading them."""
    found, _ = await broker.kept(name)
    head: dict[str, Any] = thaw(_read(found).head)
    return head


def _read(found: bytes | None) -> _TailPage:
    return _tails.decode(found) if found else _TailPage(_Base(), {}, freeze({}))


def _changed(values: dict[bytes, bytes], changes: Changes) -> dict[bytes, bytes]:
    """The pages, changed."""
    for path, page in changes.items():
        if page is None:
            values.pop(path, None)
        else:
            values[path] = page
    return values


def _size(pages: Changes) -> int:
    return sum(len(path) + len(page or b"") for path, page in pages.items())


def _cut(values: Mapping[bytes, bytes]) -> Iterator[dict[bytes, bytes]]:
    """The pages in pieces of a size that brokers take."""
    piece: dict[bytes, bytes] = {}
    size = 0
    for path, page in values.items():
        if piece and size + len(path) + len(page) > PIECE:
            yield piece
            piece, size = {}, 0
        piece[path] = page
        size += len(path) + len(page)
    if piece:
        yield piece


def sizes(paths: Iterable[tuple[str, int]]) -> str:
    """Steps and how much they remember, the largest first.

    >>> sizes([("batch", 10), ("windows", 900_000), ("batch", 5)])
    '"windows" 900,000 bytes, "batch" 15 bytes'
    """
    total: dict[str, int] = {}
    for step, size in paths:
        total[step] = total.get(step, 0) + size
    ordered = sorted(total.items(), key=lambda item: -item[1])
    return ", ".join(f'"{step}" {size:,} bytes' for step, size in ordered)


_encoder = msgspec.msgpack.Encoder()
_tails = msgspec.msgpack.Decoder(_TailPage)
_pieces = msgspec.msgpack.Decoder(tuple[str, dict[bytes, bytes]])
