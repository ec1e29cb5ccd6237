"""Packing: request bodies compressed with gzip, and compressed responses where the caller asks for them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping

from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.serve.reply import JSON, TEXT, Reply

GZIP = 31  # zlib's word for gzip's own form
WORTH = 1024  # bytes of an answer from which on packing it saves more than it costs
QUICK = 64 * 2**10  # bytes up to which it takes less than a millisecond
LEVEL = 4  # nearly the size of higher ones, in half of the time
PACKED = frozenset({JSON, TEXT})
VARY = (b"vary", b"accept-encoding")


async def unpacked(body: bytes, most: int) -> bytes:
    """A body that came in by gzip; refused before it is longer than the most that is taken.

    >>> import gzip
    >>> asyncio.run(unpacked(gzip.compress(b"{}"), 10))
    b'{}'
    """
    if len(body) <= QUICK // 16:
        return _unpacked(body, most)
    return await asyncio.to_thread(_unpacked, body, most)


def _unpacked(body: bytes, most: int) -> bytes:
    found = bytearray()
    rest = body
    try:
        while rest:  # gzip allows several parts, one behind the other
            reader = zlib.decompressobj(GZIP)
            found += reader.decompress(rest, most + 1 - len(found))
            if len(found) > most:
                raise RefusedError(413, f"The body is longer than {most} bytes when unpacked, the most that is taken.")
            if not reader.eof:
                raise RefusedError(400, "The body is declared as gzip and ends in the middle.")
            rest = reader.unused_data
    except zlib.error as error:
        raise RefusedError(400, f"The body is declared as gzip and is not: {error}") from None
    return bytes(found)


async def packed(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """The reply as the caller wants it, packed where he accepts that and it is worth it."""
    if reply.content_type not in PACKED:
        return reply
    if not accepts_gzip(headers.get("accept-encoding", "")):
        return reply._replace(headers=(*reply.headers, VARY))
    body = _packed(reply.body) if len(reply.body) <= QUICK else await asyncio.to_thread(_packed, reply.body)
    return reply._replace(body=body, headers=(*reply.headers, (b"content-encoding", b"gzip"), VARY))


def accepts_gzip(accepted: str) -> bool:
    """Whether a caller takes gzip, by his `Accept-Encoding`.

    >>> accepts_gzip("deflate, gzip;q=0.5"), accepts_gzip("gzip;q=0, *"), accepts_gzip("*"), accepts_gzip("")
    (True, False, True, False)
    """
    found: dict[str, bool] = {}
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        found[name.strip()] = weight.replace(" ", "").rstrip("0.") != "q="
    return found.get("gzip", found.get("*", False))


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return packer.compress(body) + packer.flush()
