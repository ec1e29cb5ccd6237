"""Early answers: a responder in the middle of a graph answers the caller while the rest still runs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from nbgraph.engine.interpret.observer import Observer, StepRun
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph


def goes_on_after_answer(graph: Graph) -> bool:
    """Whether anything follows the step that answers.

    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip).respond().to(str.upper)
    >>> goes_on_after_answer(graph)
    True
    """
    return any(edge.source in graph.responders and edge.carries_events for edge in graph.edges)


class EarlyAnswers(Observer):
    """Gives each event's answer to whoever waits for it, as soon as the responder has made it."""

    def __init__(self, responders: Collection[str]) -> None:
        self._responders = frozenset(responders)
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]] = {}

    def of(self, event: Event) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting[event.id] = loop, future
        return future

    def after(self, move: StepRun) -> None:
        if move.step in self._responders and move.error is None:
            waiting = self._waiting.pop(move.event.id, None)  # the first answer wins
            if waiting is not None:
                loop, future = waiting
                loop.call_soon_threadsafe(_answer, future, move.output)

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        self._waiting.pop(event.id, None)  # it never came to the responder


def _answer(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
