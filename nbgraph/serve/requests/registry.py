"""RequestRegistry: requests whose callers may come back for the answer or repeat them; bounded in time and number."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from nbgraph.graph.routes.route import REQUESTS
from nbgraph.serve.execution.loop_bridge import in_room
from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.serve.reply import JSON, Reply, error_of
from nbgraph.serve.requests.store import KEPT_SECONDS, KnownRequest, RequestStore
from nbgraph.streams.base import FullError
from nbgraph.streams.codec.wire import encode

PATH = REQUESTS
MOST, MOST_BYTES = 10_000, 64 * 2**20  # requests, and bytes of their replies, that one gateway keeps
PASSING = frozenset({429, 503, 504})  # no answer to the event: asked again, it is worked on again
PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between looks at the shelf
AWAY = "The broker is away, so that requests can't be kept or found; try again in a while."
log = logging.getLogger("nbgraph.serve")


@dataclass(slots=True, eq=False)
class StoredRequest:
    """A request and, when there is one, its reply; `is_shared`: another gateway had begun it, the `owner`."""

    id: str
    mark: bytes
    began: float
    is_shared: bool = False
    owner: str = ""
    replied: asyncio.Future[Reply] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def size(self) -> int:
        return len(self.replied.result().body) if self.replied.done() else 0


class RequestRegistry:
    """By the id of their event; on the shelf as well where there is one, so that others find them.

    `owner`: what this gateway is known by; `lives` tells whether another one is there.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        owner: str = "",
        lives: Callable[[str], bool] = lambda owner: False,
    ) -> None:
        self.shelf: RequestStore | None = None
        self._owner, self._lives = owner, lives
        self._clock = clock
        self._asked: OrderedDict[str, StoredRequest] = OrderedDict()
        self._bytes = 0

    async def ask(self, id: str, mark: bytes) -> tuple[StoredRequest, bool]:
        """The request of that id, and whether nobody here works on it yet; the same id with another body is refused.

        What another gateway has begun is worked on here too where that one may be gone (see `is_elsewhere`): what was
        sent twice is dropped by the queues, and the first reply counts.
        """
        known = self._of(id)
        is_new = known is None
        if known is None:
            self._make_room()
            known = self._asked[id] = StoredRequest(id, mark, self._clock())
            await self._claim(known)
        if known.mark != mark:
            raise RefusedError(422, "This Idempotency-Key was used for another request; use a new key for a new one.")
        return known, is_new and not known.replied.done()

    async def _claim(self, asked: StoredRequest) -> None:
        """Let others know of it, or learn what they know."""
        if self.shelf is None:
            return
        try:
            found = await in_room("requests", self.shelf.claim(asked.id, asked.mark, self._owner))
        except FullError as error:
            self._asked.pop(asked.id, None)
            asked.replied.set_result(error_of(error.status, str(error)))
            return
        except Exception as error:
            self._asked.pop(asked.id, None)
            log.warning("A request could not be kept: %s", error, extra={"event": asked.id})
            asked.replied.set_result(error_of(503, AWAY))  # others may wait for it by now
            return
        if found is not None:
            asked.is_shared = True
            self._learn(asked, found)

    async def settle(self, asked: StoredRequest, reply: Reply) -> None:
        """The reply has come; what only says that there is none yet leaves the request to be asked again."""
        if asked.replied.done():
            return
        asked.replied.set_result(reply)
        if reply.status in PASSING:
            self._asked.pop(asked.id, None)
            with contextlib.suppress(Exception):  # the broker is away
                await self._given_up(asked.id)
            return
        self._bytes += len(reply.body)
        if self.shelf is not None:
            try:
                await self.shelf.settle(asked.id, reply)
            except Exception as error:
                log.warning("A reply is kept by this gateway only: %s", error, extra={"event": asked.id})

    async def _given_up(self, id: str) -> None:
        if self.shelf is not None:
            await self.shelf.give_up(id)

    def is_elsewhere(self, asked: StoredRequest) -> bool:
        """Whether another gateway works on it, which is alive."""
        return asked.owner not in ("", self._owner) and self._lives(asked.owner)

    async def wait_for_others(self, asked: StoredRequest) -> None:
        """Returns when it has a reply, or nobody else works on it any more."""
        pause = PAUSE
        while self.shelf is not None and not asked.replied.done() and self.is_elsewhere(asked):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            with contextlib.suppress(Exception):  # the broker is away: looked at again in a while
                found = await self.shelf.find(asked.id)
                if found is not None:
                    self._learn(asked, found)

    async def watch(self, asked: StoredRequest) -> None:
        """Another may answer it: look at the shelf until somebody has."""
        pause = PAUSE
        while self.shelf is not None and not asked.replied.done():
            with contextlib.suppress(Exception):  # the broker is away: looked at again in a while
                found = await self.shelf.find(asked.id)
                if found is not None:
                    self._learn(asked, found)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def reply_for(self, id: str) -> Reply:
        """What a caller who has come back is told."""
        asked = self._of(id)
        reply = asked.replied.result() if asked is not None and asked.replied.done() else None
        if reply is None and self.shelf is not None:
            try:
                found = await self.shelf.find(id)
            except Exception as error:
                log.warning("A request could not be looked up: %s", error, extra={"event": id})
                return error_of(503, AWAY)
            reply = found.reply if found is not None else None
            if asked is None and found is not None and reply is None:
                return pending(id)
        if reply is not None:
            return reply
        if asked is None:
            return error_of(404, f'There is no request "{id[:100]}" here, or no more; send the event again.')
        return pending(id)

    def _learn(self, asked: StoredRequest, found: KnownRequest) -> None:
        asked.mark, asked.owner = found.mark, found.owner
        if found.reply is not None and not asked.replied.done():
            asked.replied.set_result(found.reply)
            self._bytes += len(found.reply.body)

    def _of(self, id: str) -> StoredRequest | None:
        """The request, with the ones forgotten whose time is over."""
        while self._asked and next(iter(self._asked.values())).began + KEPT_SECONDS < self._clock():
            self._forget(next(iter(self._asked)))
        return self._asked.get(id)

    def _make_room(self) -> None:
        """Forget the oldest that are answered; where none is, no more are taken."""
        while len(self._asked) >= MOST or self._bytes > MOST_BYTES:
            oldest = next((id for id, asked in self._asked.items() if asked.replied.done()), None)
            if oldest is None:
                raise RefusedError(429, f"{MOST} requests wait to be answered, the most that are kept.")
            self._forget(oldest)

    def _forget(self, id: str) -> None:
        self._bytes -= self._asked.pop(id).size


def pending(id: str) -> Reply:
    """202: it is under way, and here is where to look."""
    headers = ((b"location", f"{PATH}{quote(id, safe='')}".encode()), (b"retry-after", b"1"))
    return Reply(202, JSON, encode({"id": id, "status": "pending"}), headers)


def id_of(key: str | None, path: str) -> str:
    """The event's id: made of the key, so that queues know it again as well; else one that can't be guessed."""
    return secrets.token_hex(16) if key is None else hashlib.sha256(f"{path}\n{key}".encode()).hexdigest()[:32]


def mark_of(body: bytes) -> bytes:
    """What tells one body from another."""
    return hashlib.sha256(body).digest()[:16]
