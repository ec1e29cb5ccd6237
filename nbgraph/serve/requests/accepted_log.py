"""AcceptedLog: accepted events in a file each until they are done, so that none is lost when a worker ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
from asyncio import Future
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from nbgraph.event import Event
from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.serve.queues.reply_waiters import RemoteError

OF_THE_CALLER = frozenset({"authorization", "cookie", "proxy-authorization"})  # secrets, which no disk is told
UNAVAILABLE = 503  # the status of what may be tried again


class Accepted(NamedTuple):
    """An event as it came in.

    `mark`: of a request whose caller comes back for the reply. `tries`: how often it has been begun again.
    """

    id: str
    body: bytes
    path: str
    method: str | None
    headers: dict[str, str]
    mark: bytes | None = None
    tries: int = 0

    @classmethod
    def of(cls, event: Event, body: bytes, headers: Mapping[str, str], mark: bytes | None = None) -> Accepted:
        kept = {name: text for name, text in headers.items() if name not in OF_THE_CALLER}
        return cls(event.id, body, event.path, event.method, kept, mark)


class AcceptedLog:
    """A folder for all gateways of one place; each has a part of it, locked for as long as its process lives.

    What stands in a part that nobody holds any more is taken over by whoever looks. Without a folder nothing is kept.
    With `is_safe` an event is on the disk before it counts as accepted, and outlives the machine's end as well.

    >>> import tempfile
    >>> async def story(folder):
    ...     first = AcceptedLog(Path(folder))
    ...     await first.accept(Accepted("e1", b"{}", "/", "POST", {}))
    ...     await first.accept(Accepted("e2", b"{}", "/", "POST", {}))
    ...     first.done("e1")
    ...     first.close()
    ...     with contextlib.closing(AcceptedLog(Path(folder))) as second:
    ...         return [accepted.id for accepted in second.due()]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(story(folder))
    ['e2']
    """

    def __init__(self, folder: Path | None, *, is_safe: bool = False) -> None:
        self._is_safe = is_safe
        self._given_back: list[str] = []
        self._own: Path | None = None
        self._lock: IO[bytes] | None = None
        if folder is not None:
            self._own, self._lock = _part(folder)

    @property
    def is_there(self) -> bool:
        """Whether there is a folder."""
        return self._own is not None

    @property
    def name(self) -> str:
        """What others know this part by."""
        return self._own.name if self._own is not None else ""

    def lives(self, name: str) -> bool:
        """Whether the process that has the part of that name is there."""
        if self._own is None or not (self._own.parent / f"{name}.lock").exists():
            return False
        lock = _lock(self._own.parent / name)
        if lock is not None:
            lock.close()
        return lock is None

    async def accept(self, accepted: Accepted) -> None:
        """Returns when the event is kept; where it can't be, nothing is promised."""
        try:
            if self._is_safe:
                await asyncio.to_thread(self._write, accepted)
            else:
                self._write(accepted)
        except OSError as error:
            told = f"The event can't be kept ({error.strerror}), so nothing can be promised; try again in a while."
            raise RefusedError(UNAVAILABLE, told) from error

    def done(self, id: str) -> None:
        """All that an event asked for has happened, or it is among the failures."""
        if self._own is not None:
            (self._own / _name(id)).unlink(missing_ok=True)

    def ended(self, id: str, run: Future[Any]) -> None:
        """As `done`, unless the run ended because others were away: then it is due again."""
        error = None if run.cancelled() else run.exception()
        if run.cancelled() or (isinstance(error, RemoteError) and error.status == UNAVAILABLE):
            self._given_back.append(id)
        else:
            self.done(id)

    def due(self) -> list[Accepted]:
        """What is to be done again: of gateways that are gone, and what was given back here."""
        if self._own is None:
            return []
        names = [*map(_name, self._given_back), *self._inherited(self._own)]
        self._given_back = []
        return [_decoder.decode((self._own / name).read_bytes()) for name in names if (self._own / name).exists()]

    def tried(self, accepted: Accepted) -> None:
        """Note a try before it is made: afterwards may be too late."""
        self._write(accepted._replace(tries=accepted.tries + 1))

    def close(self) -> None:
        """What is left is for the next one."""
        if self._lock is not None:
            self._lock.close()

    def _write(self, accepted: Accepted) -> None:
        if self._own is None:
            return
        path = self._own / _name(accepted.id)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.write(_encoder.encode(accepted))
            if self._is_safe:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
        if self._is_safe:
            _sync(self._own)

    def _inherited(self, own: Path) -> list[str]:
        """Move what gateways that are gone have left into the own part."""
        found = []
        for part in sorted(own.parent.iterdir()):
            if not part.is_dir() or part == own or (lock := _lock(part)) is None:
                continue
            with lock:
                for left in sorted(part.iterdir(), key=lambda file: file.stat().st_mtime):
                    if left.suffix != ".part":  # else its caller was never told that it is accepted
                        left.replace(own / left.name)
                        found.append(left.name)
                    else:
                        left.unlink()
                part.rmdir()
                part.with_suffix(".lock").unlink()
        return found


def _part(folder: Path) -> tuple[Path, IO[bytes] | None]:
    """A part of the folder that is locked before anybody can see it."""
    part = folder / secrets.token_hex(8)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(part)
    part.mkdir(mode=0o700)
    return part, lock


def _lock(part: Path) -> IO[bytes] | None:
    """The part's lock, which ends with its file or its process; None where somebody holds it."""
    lock = part.with_suffix(".lock").open("ab")
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    lock.close()
    return None


def _name(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()[:32]


def _sync(folder: Path) -> None:
    """A file's name is in its folder, which is written apart from it."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Accepted)
