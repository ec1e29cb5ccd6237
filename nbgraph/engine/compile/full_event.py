"""`full_event=True` at a built-in step: a function that takes the Event, called as the step's shape says."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.types import Shape

Function = Callable[[Any], Any]


def event_function(handler: Handler, step: str) -> tuple[Function, Shape]:
    """The function that takes the Event, and its shape; refused by name where the step works on the body alone."""
    try:
        check_takes_event(handler)
    except GraphError as error:
        raise GraphError(f'Step "{step}": {error}') from None
    do: Function = handler.do
    if handler.shape in _BY_EVENT:
        return _BY_EVENT[handler.shape](do)
    return do, handler.shape if handler.shape is Shape.EVENTS else Shape.EVENT


def check_takes_event(handler: Handler) -> None:
    """Refuse a step that works on the body alone."""
    if not handler.takes_event():
        raise GraphError(
            f"{type(handler).__name__} works on the body, so full_event=True has no effect on it; leave it "
            "out, or put what is needed into the body in a step before."
        )


def _each(do: Function) -> tuple[Function, Shape]:
    def each(event: Event) -> None:
        do(event)

    async def each_later(event: Event) -> None:
        await do(event)

    return (each_later if inspect.iscoroutinefunction(do) else each), Shape.EVENT


def _filter(do: Function) -> tuple[Function, Shape]:
    def kept(event: Event) -> Iterable[Event]:
        return [event] if do(event) else []

    async def kept_later(event: Event) -> Iterable[Event]:
        return [event] if await do(event) else []

    return (kept_later if inspect.iscoroutinefunction(do) else kept), Shape.EVENTS


def _flat(do: Function) -> tuple[Function, Shape]:
    def given(event: Event) -> Iterator[Event]:
        return (_event_of(result, event) for result in do(event))

    async def given_later(event: Event) -> Iterable[Event]:
        return [_event_of(result, event) for result in await do(event)]

    async def drawn(event: Event) -> AsyncIterator[Event]:
        async for result in do(event):
            yield _event_of(result, event)

    if inspect.isasyncgenfunction(do):
        return drawn, Shape.EVENTS
    return (given_later if inspect.iscoroutinefunction(do) else given), Shape.EVENTS


def _hold(do: Function) -> tuple[Function, Shape]:
    def hold(event: Event) -> Iterable[Event]:
        do(event)
        return []

    return hold, Shape.EVENTS


_BY_EVENT = {Shape.EACH: _each, Shape.FILTER: _filter, Shape.FLAT: _flat, Shape.HOLD: _hold}


def _event_of(result: Any, event: Event) -> Event:
    """The event of a result: one that is not an Event becomes the body of a copy of the event."""
    return result if isinstance(result, Event) else event.with_body(result)
