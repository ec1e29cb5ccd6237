"""ReplyWaiters: callers whose answers may come from another function; each hears of success, failure and lateness."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.plan import Answers
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.serve.execution.loop_bridge import HastyBridge, LoopBridge, in_room
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.execution.timers import let_go
from nbgraph.serve.gateway import presence
from nbgraph.serve.gateway.open_inference import reply_to
from nbgraph.serve.gateway.presence import ASK, GONE, HERE, UNKNOWN, CallerGone, CallerPresence
from nbgraph.serve.queues.outcome import ANSWER, CREDIT, FAILED, KIND, LATE, ROOT, STATUS, QueueOutcome
from nbgraph.serve.reply import Reply, error_of
from nbgraph.serve.requests.store import RequestStore
from nbgraph.serve.telemetry.captures import Captures
from nbgraph.streams import event_context
from nbgraph.streams.base import Broker, FullError, Inbox, Message
from nbgraph.streams.codec.wire import AnswerError, pack, unpack
from nbgraph.streams.event_context import WHOLE, EventContext, current

LOOK, PATIENCE = 0.5, 3  # seconds between looks at the broker, and how many in a row may find it away
REMEMBERED = 10_000  # events whose callers have gone
ROOM = 30.0  # seconds between two times that a reply without a place on the shelf is told of
log = logging.getLogger("nbgraph.serve")
GRACE = 10.0  # seconds after it has come back in which whoever waited since before is still answered


class RemoteError(NbgraphError):
    """A step of another function failed, or the answer did not come; `status` is HTTP's."""

    def __init__(self, message: str, status: int = 500, step: str | None = None) -> None:
        super().__init__(message)
        self.status, self.step = status, step


@dataclass(eq=False)
class _Waiter:
    """Somebody waits: for the answer, and for the credit that tells when no answer will come any more."""

    future: asyncio.Future[Any]
    task: asyncio.Task[Any] | None
    deadline: float  # of the loop's clock
    caller: CallerPresence = field(default_factory=CallerPresence)
    workers: set[str] = field(default_factory=set)  # addresses of who wants to hear that the caller has gone
    credit: int = 0
    late: list[Any] = field(default_factory=list)
    is_cut_off: bool = False

    def returned(self, credit: int) -> None:
        self.credit += credit
        if self.credit >= WHOLE and not self.future.done():  # all branches have ended, and none answered
            self.future.set_result(self.late[0] if self.late else None)

    def give_up(self) -> None:
        """The broker was away, and it is long ago: the answer may have been sent meanwhile."""
        if not self.future.done():
            self.cut_off()

    def cut_off(self) -> None:
        """The broker is away: the answer can't come, and what was not sent can't go."""
        self.is_cut_off = True
        if self.task is not None:
            self.task.cancel()


class ReplyWaiters:
    """Runs the first function's part of their events, and brings the answers; on the loop on which it is made."""

    def __init__(
        self, track: PlanRunner, part: FunctionSpec, broker: Broker, seconds: float, captures: Captures | None = None
    ) -> None:
        self._track, self._part, self._broker, self._seconds = track, part, broker, seconds
        self._way = LoopBridge(broker)
        self._door = HastyBridge(self._way)
        self._captures = captures
        self._asked: dict[str, _Waiter] = {}
        self._left: OrderedDict[str, None] = OrderedDict()  # events whose callers have gone
        self._tasks: list[asyncio.Task[None]] = []
        self._inbox: Inbox | None = None
        self.shelf = RequestStore(broker)
        self.late = 0

    @property
    def is_connected(self) -> bool:
        return self._broker.is_connected

    async def open(self) -> None:
        """Begin to hear replies, where callers come to this function."""
        if self._part.asks:
            self._inbox = await self._broker.inbox()
            self._tasks = [loop.background(self._hear(self._inbox)), loop.background(self._watch())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._inbox is not None:
            await self._inbox.close()

    async def ask(
        self,
        event: Event,
        seconds: float | None = None,
        *,
        accepted: Callable[[], object] | None = None,
        is_kept: bool = False,
    ) -> Any:
        """The answer to an event from a caller; `accepted` is called once all of it is answered or in queues.

        With `is_kept` whoever answers puts the answer on the shelf as well, where it outlives this process.
        """
        if not self._broker.is_connected:
            raise RemoteError("The broker is away, so that events can't be handed on; try again in a while.", 503)
        seconds = self._seconds if seconds is None else seconds
        way = EventContext(
            self._door, pack, event.id, event.id, deadline=time.time() + seconds, is_kept=is_kept
        )  # fmt: skip
        home = asyncio.get_running_loop()
        asked = _Waiter(home.create_future(), asyncio.current_task(), home.time() + seconds)
        presence.current.set(asked.caller)
        if self._inbox is not None:
            way.reply_to = self._inbox.address
        self._asked[event.id] = asked
        current.set(way)
        try:
            async with asyncio.timeout(seconds):
                plan = self._track.plan if self._captures is None else self._captures.plan(self._track.plan, event)
                answers = await self._track.answers(event, plan)
                if accepted is not None:
                    accepted()
                return await self._answer(event, answers, asked, way)
        except CallerGone:
            raise RemoteError("The caller has gone.", 503) from None
        except TimeoutError:
            await self.left(event.id)
            raise RemoteError(f"No answer within {seconds:g} seconds.", 504) from None
        except asyncio.CancelledError:
            if not asked.is_cut_off:
                raise
            raise RemoteError(
                "The broker went away while the event was under way; it may be done or not: ask again with the same "
                "Idempotency-Key.", 503,
            ) from None  # fmt: skip
        finally:
            if self._asked.get(event.id) is asked:  # the same may have been asked again meanwhile
                del self._asked[event.id]

    async def left(self, id: str) -> None:
        """The caller has gone: steps that go on giving results for him stop, here and in other functions."""
        asked = self._asked.get(id)
        if asked is None or asked.caller.is_gone:
            return
        asked.caller.is_gone = True
        self._left[id] = None
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        for address in asked.workers:
            with contextlib.suppress(Exception):  # the broker is away
                await self._broker.reply(address, presence.answer(id, GONE, 0.0), b"")

    async def _tell(self, root: str, headers: Mapping[str, str]) -> None:
        """Tell a worker whether the caller is there, and for how long he waits."""
        address, asked = headers.get(presence.FROM, ""), self._asked.get(root)
        if not self._broker.is_inbox(address):
            return
        if root in self._left:
            told = presence.answer(root, GONE, 0.0)
        elif asked is None:  # answered already, or nobody that was here
            told = presence.answer(root, UNKNOWN, 0.0)
        else:
            asked.workers.add(address)
            told = presence.answer(root, HERE, asked.deadline - asyncio.get_running_loop().time())
        await self._broker.reply(address, told, b"")

    async def reply(self, message: Message, outcome: QueueOutcome) -> None:
        """Tell whoever asked what came of a part of his event."""
        headers = message.headers
        root = headers.get(event_context.ROOT, message.id)
        address = headers.get(event_context.REPLY_TO)
        if address is not None and self._broker.is_inbox(address):
            told = {KIND: outcome.kind, ROOT: root, CREDIT: f"{outcome.credit:x}", STATUS: str(outcome.status)}
            await self._broker.reply(address, told, outcome.reply)
        if event_context.KEPT in headers and outcome.kind in (ANSWER, FAILED):
            await self._kept(root, _reply(root, outcome))

    async def _kept(self, id: str, reply: Reply) -> None:
        """Put a reply on the shelf; while there is no room the event is not acknowledged, and nobody else begins it."""
        while True:
            try:
                return await in_room("replies", self.shelf.settle(id, reply), ROOM)
            except FullError:
                log.error("The broker is full: a reply waits for a place, and its event with it", extra={"event": id})

    async def let_go(self, now: float | None, failed: Callable[[StepError], None]) -> None:
        """What steps of this function hold back goes on, also to the others; nobody waits for an answer."""
        id = Event(None).id
        current.set(EventContext(self._way, pack, id, id, credit=0))
        await let_go(self._track, now, failed)

    async def _answer(self, event: Event, answers: Answers, asked: _Waiter, way: EventContext) -> Any:
        if self._part.confirms:
            return {"id": event.id}
        if self._inbox is None:
            return self._track.plan.answer_of(event, answers)
        if self._part.answers and answers:
            return answers[0]
        asked.late += answers.late
        asked.returned(way.credit)
        return await asked.future

    async def _hear(self, inbox: Inbox) -> None:
        async for headers, body in inbox.replies():
            root = headers.get(ROOT, "")
            if headers.get(KIND) == ASK:
                with contextlib.suppress(Exception):  # the broker is away
                    await self._tell(root, headers)
                continue
            asked = self._asked.get(root)
            if asked is None:  # nobody waits for it any more
                self.late += 1
                continue
            with contextlib.suppress(Exception):  # it is no reply of ours
                _heard(asked, headers, body)

    async def _watch(self) -> None:
        """Let nobody wait for what can't come."""
        away = 0
        while True:
            await asyncio.sleep(LOOK)
            if not self._broker.is_connected:
                away += 1
            elif away:  # replies that were sent in between are gone
                away = 0
                for asked in list(self._asked.values()):
                    asyncio.get_running_loop().call_later(GRACE, asked.give_up)
            if away >= PATIENCE:
                for asked in list(self._asked.values()):
                    asked.cut_off()


def _heard(asked: _Waiter, headers: Mapping[str, str], body: bytes) -> None:
    kind = headers[KIND]
    if kind == ANSWER and not asked.future.done():
        asked.future.set_result(unpack(body))
    elif kind == FAILED and not asked.future.done():
        told = unpack(body)
        asked.future.set_exception(RemoteError(told["error"], int(headers.get(STATUS, 500)), told.get("step")))
    elif kind == LATE:
        asked.late.append(unpack(body))
    asked.returned(int(headers[CREDIT], 16))


def _reply(id: str, outcome: QueueOutcome) -> Reply:
    """The reply that the gateway would give."""
    told = unpack(outcome.reply)
    if outcome.kind == FAILED:
        step = {"step": told["step"]} if told.get("step") else {}
        return error_of(outcome.status, told["error"], event=id, **step)
    try:
        return reply_to(told)
    except AnswerError as error:
        return error_of(500, str(error), event=id)
