"""FileStates: small states in the files of a folder, where a graph has no broker that keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import struct
import time
from pathlib import Path

from nbgraph.streams.base import StaleError

MOST = 10_000  # states that are kept, the newest
EVERY = 60.0  # seconds between two looks at what is too old
_REVISION = struct.Struct(">Q")  # before the state


class FileStates:
    """States by name, each with its revision; what a shelf needs of a broker.

    >>> import tempfile
    >>> async def story(folder):
    ...     states = FileStates(Path(folder))
    ...     return await states.keep("a", b"1", 0), await states.keep("a", b"2", 1), await states.kept("a")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(story(folder))
    (1, 2, (b'2', 2))
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = 0.0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def keep(self, name: str, state: bytes, revision: int | None = None, *, seconds: float | None = None) -> int:
        """Keep a state, with `revision` only where that one still stands there, else `StaleError`."""
        return await asyncio.to_thread(self._keep, name, state, revision, seconds)

    async def kept(self, name: str, *, seconds: float | None = None) -> tuple[bytes | None, int]:
        """The state of that name, and its revision; None and 0 where there is none, or it is too old."""
        return await asyncio.to_thread(self._kept, name, seconds)

    def _keep(self, name: str, state: bytes, revision: int | None, seconds: float | None) -> int:
        self._sweep(seconds)
        _, stands = self._kept(name, seconds)
        if revision is not None and revision != stands:
            raise StaleError(name, revision)
        path = self._path(name)
        unfinished = path.with_suffix(f".{secrets.token_hex(4)}")
        unfinished.write_bytes(_REVISION.pack(stands + 1) + state)
        if revision == 0:
            self._made(name, unfinished, path)
        else:
            unfinished.replace(path)
        return stands + 1

    def _made(self, name: str, unfinished: Path, path: Path) -> None:
        """A link, unlike a move, fails where another process has been quicker."""
        try:
            path.hardlink_to(unfinished)
        except FileExistsError:
            raise StaleError(name, 0) from None
        finally:
            unfinished.unlink()

    def _kept(self, name: str, seconds: float | None) -> tuple[bytes | None, int]:
        path = self._path(name)
        try:
            if _is_over(path, seconds):
                path.unlink(missing_ok=True)
            content = path.read_bytes()
        except FileNotFoundError:
            return None, 0
        return content[_REVISION.size :], _REVISION.unpack_from(content)[0]

    def _sweep(self, seconds: float | None) -> None:
        if time.monotonic() < self._swept + EVERY:
            return
        self._swept = time.monotonic()
        with contextlib.suppress(FileNotFoundError):  # another gateway sweeps here as well
            newest = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
            for number, path in enumerate(newest):
                if number >= MOST or _is_over(path, seconds):
                    path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]


def _is_over(path: Path, seconds: float | None) -> bool:
    return seconds is not None and path.stat().st_mtime + seconds < time.time()
