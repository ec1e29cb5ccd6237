"""BrokeredGraph: the ways to run a graph whose queues lead over a broker, `graph.run(..., streams="nats")`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from nbgraph.brokered import stream as parted
from nbgraph.brokered.parts import GraphPart, parts_of
from nbgraph.brokered.run import BrokeredRun
from nbgraph.brokered.session import BrokeredSession
from nbgraph.brokered.transports import check, connect
from nbgraph.engine import loop
from nbgraph.engine.live.run import Run
from nbgraph.engine.plan import Answers, Plan
from nbgraph.engine.schedule import stream as whole
from nbgraph.engine.schedule.stream import Key
from nbgraph.event import Event
from nbgraph.graph.graph import Graph


class BrokeredGraph:
    """A graph over a transport; one without a queue to cut at runs as it always does.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to("Queue", "stripped").to(str.upper)
    >>> BrokeredGraph(graph, "nats").run(Event(" hello "))
    'HELLO'
    """

    def __init__(self, graph: Graph, streams: str) -> None:
        self.name = graph.name
        self._graph, self._streams = graph, check(streams)
        self._cut: tuple[Plan, list[GraphPart]] | None = None

    def run(self, event: Event) -> Any:
        """The answer to one event."""
        plan = self.plan()
        if not self.is_parted:
            return plan.run(event)
        return plan.answer_of(event, loop.complete(self._answers(event)))

    async def arun(self, event: Event) -> Any:
        """As `run`, without blocking the caller's event loop."""
        plan = self.plan()
        if not self.is_parted:
            return await plan.arun(event)
        return plan.answer_of(event, await loop.away(self._answers(event)))

    def answers(self, event: Event) -> Iterator[Any]:
        """Every answer to one event."""
        if not self.is_parted:
            return self.plan().answers(event)
        return parted.answers(self.plan(), self.open, event)

    def stream(self, source: Any, *, key: Key = None) -> Iterator[Any]:
        """The answers to many events, in the order of the source."""
        if not self.is_parted:
            return whole.stream(self.plan(), source, key=key)
        return parted.stream(self.plan(), self.open, source, key=key)

    def astream(self, source: Any, *, key: Key = None) -> AsyncIterator[Any]:
        """As `stream`, for `async for`."""
        if not self.is_parted:
            return whole.astream(self.plan(), source, key=key)
        return parted.astream(self.plan(), self.open, source, key=key)

    def start(self) -> Run | BrokeredRun:
        """A long-lived run."""
        return BrokeredRun(self) if self.is_parted else Run(self._graph)

    def plan(self) -> Plan:
        """The plan of the whole graph, as it is now."""
        return self._graph.plan()

    @property
    def is_parted(self) -> bool:
        """Whether a queue or a function's end cuts the graph."""
        return len(self._parts()) > 1

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BrokeredSession]:
        """The parts at work, with queues of their own, until the block ends."""
        async with BrokeredSession.open(self.name, self._parts(), await connect(self._streams)) as session:
            yield session

    def _parts(self) -> list[GraphPart]:
        """The parts of the graph, cut and compiled anew when its plan is a new one."""
        plan = self.plan()
        if self._cut is None or self._cut[0] is not plan:
            self._cut = plan, parts_of(self._graph, plan)
        return self._cut[1]

    async def _answers(self, event: Event) -> Answers:
        async with self.open() as session:
            event_run = session.enter(event)
            await event_run.ended.wait()
            return event_run.answers()
