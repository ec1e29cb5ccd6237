"""Stream: many events through the parts of a graph, answers in the order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any

from nbgraph.brokered.brokered_event import BrokeredEvent
from nbgraph.brokered.session import BrokeredSession
from nbgraph.engine import loop
from nbgraph.engine.plan import Plan
from nbgraph.engine.schedule.channel import aiterate, iterate
from nbgraph.engine.schedule.source_reader import (
    END,
    NOT_YET,
    LoopSourceReader,
    SourceReader,
    ThreadSourceReader,
    commit_of,
)
from nbgraph.engine.schedule.stream import Entering, Key, Stream, event_of_row, has_entered, rows_of
from nbgraph.errors import RowError
from nbgraph.event import Event

Opening = Callable[[], AbstractAsyncContextManager[BrokeredSession]]
Outcome = tuple[Any, Exception | None]  # an answer or an error


def stream(plan: Plan, open: Opening, source: Any, *, key: Key = None) -> Stream:
    """The answers to all events of a source; when it ends, steps give what they hold."""
    return _stream(_Flow(plan, open, source, partial(event_of_row, key=key), is_whole=True))


def answers(plan: Plan, open: Opening, event: Event) -> Stream:
    """Every answer to one event that has entered."""
    return _stream(_Flow(plan, open, [event], has_entered, is_whole=False))


async def astream(plan: Plan, open: Opening, source: Any, *, key: Key = None) -> AsyncIterator[Any]:
    """As `stream`, for `async for`; the source may be async too."""
    flow = _Flow(plan, open, source, partial(event_of_row, key=key), is_whole=True)
    async with aclosing(aiterate(flow.outcomes())) as outcomes:
        async for answer, error in outcomes:
            if error is not None:
                raise error
            yield answer


def _stream(flow: _Flow) -> Stream:
    outcomes = iterate(flow.outcomes())
    return Stream(lambda: _raised(outcomes), outcomes)


def _raised(outcomes: Iterator[Outcome]) -> Iterator[Any]:
    for answer, error in outcomes:
        if error is not None:
            raise error
        yield answer


class _Flow:
    """A source on its way through a session, at most the session's window of events at once."""

    def __init__(self, plan: Plan, open: Opening, source: Any, enter: Entering, *, is_whole: bool) -> None:
        self._plan, self._open, self._enter, self._is_whole = plan, open, enter, is_whole
        self._commit = commit_of(source, plan, is_one_by_one=False)
        if hasattr(source, "__aiter__"):
            self._reader: SourceReader = LoopSourceReader(source)
        else:
            rows = iter(self._commit if self._commit is not None else rows_of(source))
            self._reader = ThreadSourceReader(rows, **({"ahead": 1} if self._commit is not None else {}))
        self._waiting: deque[BrokeredEvent] = deque()
        self._is_open = True
        self._fault: Exception | None = None

    async def outcomes(self) -> AsyncGenerator[list[Outcome], None]:
        self._reader.open()
        try:
            async with self._open() as session, aclosing(self._all(session)) as done:
                async for event_run in done:
                    yield _outcomes(event_run)
        finally:
            await self._reader.close()

    async def _all(self, session: BrokeredSession) -> AsyncGenerator[BrokeredEvent, None]:
        while self._is_open or self._waiting:
            self._take(session)
            while self._waiting and self._waiting[0].ended.is_set():
                yield await self._through(self._waiting.popleft())
                self._take(session)
            if self._is_open or self._waiting:
                await self._reader.happened.wait()
                self._reader.happened.clear()
        if self._fault is not None:
            raise self._fault
        if self._is_whole:
            async for event_run in session.release(self._plan):
                yield event_run
        if self._commit is not None:
            await loop.on_thread(self._commit.end)

    def _take(self, session: BrokeredSession) -> None:
        """Let events enter as long as there are some and there is room."""
        while self._is_open and len(self._waiting) < session.window:
            try:
                item = self._reader.take()
            except Exception as error:  # the source failed: what came before it still goes its way
                item, self._fault = END, error
            if item is NOT_YET:
                return
            self._is_open = item is not END
            if self._is_open:
                self._waiting.append(self._entered(session, item))

    def _entered(self, session: BrokeredSession, row: Any) -> BrokeredEvent:
        try:
            event = self._enter(row)
        except RowError as error:
            return session.refuse(error, lambda _: self._reader.happened.set())
        except Exception as error:  # a row that can't become an event, though its source gave it as one
            refused = BrokeredEvent(row if isinstance(row, Event) else Event(row))
            refused.fail(error)
            refused.end()
            return refused
        return session.enter(event, lambda _: self._reader.happened.set())

    async def _through(self, event_run: BrokeredEvent) -> BrokeredEvent:
        if self._commit is not None:
            await loop.on_thread(self._commit.through, event_run.event)
        return event_run


def _outcomes(event_run: BrokeredEvent) -> list[Outcome]:
    try:
        return [(answer, None) for answer in event_run.answers().all()]
    except Exception as error:
        return [(None, error)]
