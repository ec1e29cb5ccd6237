"""Settle: a source is told which of its events are through, so that none is lost in a crash and few come twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from nbgraph.engine.plan import Plan
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.sources.base import Source


class SourceCommit:
    """The events of a source; an event is committed when it and all before it are through and no step holds any.

    `waiting` are the events that were handed out and are not committed yet, in their order; `done` are the ids of those
    of them that are through.
    """

    def __init__(self, source: Source, plan: Plan, *, is_one_by_one: bool) -> None:
        self._source = source
        self._is_one_by_one = is_one_by_one
        self._waiting: deque[Event] = deque()
        self._done: set[str] = set()
        self._last: Event | None = None
        targets = [step.call.target for step in plan.steps.values()]
        self._holders = [target for target in targets if isinstance(target, Handler) and _may_hold(type(target))]

    def __iter__(self) -> Iterator[Event]:
        for event in self._source:
            self._waiting.append(event)
            yield event
            if self._is_one_by_one:  # whoever asks for the next event has done with this one
                self.through(event)

    def through(self, event: Event) -> None:
        """That event has run its way."""
        self._done.add(event.id)
        while self._waiting and self._waiting[0].id in self._done:
            self._last = self._waiting.popleft()
            self._done.discard(self._last.id)
        if self._last is not None and not any(holder.holding() for holder in self._holders):
            self.end()

    def end(self) -> None:
        """Nothing is held back any more."""
        if self._last is not None:
            self._source.commit(self._last)
            self._last = None


def settling(source: object, plan: Plan, *, is_one_by_one: bool) -> SourceCommit | None:
    """None for a source that does not ask which of its events are through."""
    if isinstance(source, Source) and type(source).commit is not Source.commit:
        return SourceCommit(source, plan, is_one_by_one=is_one_by_one)
    return None


def _may_hold(kind: type[Handler]) -> bool:
    return kind.holding is not Handler.holding
