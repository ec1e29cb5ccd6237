"""Stream: many events through one plan, answers in the order of the input, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.conductor import Ticket, conducted
from nbgraph.engine.plan import Plan, entering
from nbgraph.engine.settle import Settling, settling
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import RAW, Event

Key = str | Callable[[Any], Any] | None
ROWS = 1000  # rows of a DataFrame that become dicts at a time


class Stream(Iterator[Any]):
    """An iterator over all answers; after an error it goes on with the next event.

    >>> from nbgraph import Graph
    >>> graph = Graph("inverse")
    >>> _ = graph.to(lambda body: 1 / body)
    >>> answers = graph.stream([1, 0, 4])
    >>> next(answers)
    1.0
    >>> next(answers)
    Traceback (most recent call last):
    nbgraph.errors.StepError: Step "<lambda>" failed: ZeroDivisionError: division by zero
    >>> next(answers)
    0.25
    """

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self._make = make
        self._answers = make()

    def __iter__(self) -> Iterator[Any]:
        return self._answers  # the generator itself: a `for` pays nothing for the class around it

    def __next__(self) -> Any:
        try:
            return next(self._answers)
        except StepError:
            self._answers = self._make()  # a generator that raised is at its end; the source is not
            raise

    def close(self) -> None:
        """Stop here; what the source still has is not read."""
        self._answers.close()  # type: ignore[attr-defined]


def stream(plan: Plan, source: Any, *, key: Key = None, is_whole: bool = True) -> Stream:
    """The answers to all events of a source; `is_whole` tells that steps give what they hold when it ends."""
    is_async = plan.is_async or (plan.staged is not None and not plan.observers)
    settled = settling(source, plan, is_one_by_one=not is_async)
    rows = iter(settled if settled is not None else rows_of(source))
    if is_async:
        # One iterator, whatever fails on the way: events that are under way must not be lost with it.
        outcomes = loop.iterate(_async_outcomes(plan, _drawn(_events(rows, key), settled), is_whole, settled))
        return Stream(lambda: _raised(outcomes))
    return Stream(lambda: _answers(plan, rows, key, is_whole, settled))


def _answers(plan: Plan, rows: Iterator[Any], key: Key, is_whole: bool, settled: Settling | None) -> Iterator[Any]:
    if plan.fused is not None and not plan.observers:
        yield from plan.fused(map(_body, rows))
    else:
        for event in _events(rows, key):
            yield from _one(plan, event, is_lazy=not is_whole)
    if is_whole:
        for name, step in plan.steps.items():
            for chunk in step.call.release() if step.call.release is not None else ():
                yield from plan.resume(name, chunk).all()
    if settled is not None:
        settled.end()


def _one(plan: Plan, event: Event, *, is_lazy: bool) -> Iterator[Any]:
    """The answers to one event; lazily, one by one as its steps give them, for a single event's `answers`."""
    if not is_lazy:
        yield from plan.handle(event).all()
        return
    walk = plan.walk(event, plan.observers)
    given = 0
    try:
        for _ in walk.moves():
            yield from walk.answers[given:]
            given = len(walk.answers)
    except StepError as error:
        raise plan.told(error, walk.answers) from error.__cause__
    if not given:
        yield from walk.answers.late


class _Failed:
    """An error on its way out of an async iterator, which would end if it were raised there."""

    def __init__(self, error: StepError) -> None:
        self.error = error


def _raised(outcomes: Iterator[Any]) -> Iterator[Any]:
    for outcome in outcomes:
        if isinstance(outcome, _Failed):
            raise outcome.error
        yield outcome


async def _async_outcomes(
    plan: Plan, events: AsyncIterator[Event], is_whole: bool, settled: Settling | None
) -> AsyncIterator[Any]:
    async for answers in _async_answers(plan, events):
        for answer in answers.all():
            yield answer
        if answers.error is not None:
            yield _Failed(answers.error)
        if settled is not None:
            await loop.on_thread(settled.through, answers.event)
    for name, step in plan.steps.items():
        for chunk in step.call.release() if is_whole and step.call.release is not None else ():
            event = chunk if isinstance(chunk, Event) else Event(chunk)
            for answer in (await plan.aresume(name, event)).all():
                yield answer
    if settled is not None:
        await loop.on_thread(settled.end)


async def _drawn(events: Iterator[Event], settled: Settling | None) -> AsyncIterator[Event]:
    """The events of the source; one that waits for its events (a broker's) must not stop those under way."""
    if settled is None:
        for event in events:
            yield event
        return
    while (found := await loop.on_thread(next, events, _END)) is not _END:
        yield found


async def _async_answers(plan: Plan, events: AsyncIterator[Event]) -> AsyncIterator[Ticket]:
    """The tickets of the events: many at once where steps are concurrent, else one after the other."""
    if plan.staged is not None and not plan.observers:
        async for ticket in conducted(plan, events):
            yield ticket
        return
    async for event in events:
        ticket = Ticket(event)
        try:
            ticket.extend((await plan.aanswers(event)).all())
        except StepError as error:
            ticket.error = error
        yield ticket


async def astream(plan: Plan, source: Any, *, key: Key = None) -> AsyncIterator[Any]:
    """As `stream`, for `async for`; the source may be async too."""
    if hasattr(source, "__aiter__"):
        async for item in source:
            for answer in await loop.on_thread(list, stream(plan, [item], key=key, is_whole=False)):
                yield answer
        source = ()
    answers = stream(plan, source, key=key)
    while True:
        found: Any = await loop.on_thread(next, answers, _END)
        if found is _END:
            return
        yield found


_END: Any = object()


def _events(rows: Iterator[Any], key: Key) -> Iterator[Event]:
    for row in rows:
        event = entering(row)
        if key is not None:
            event.key = key(event.body) if callable(key) else event.body[key]
        yield event


def _body(row: Any) -> Any:
    return entering(row).body if type(row) in RAW else row


def rows_of(source: Any) -> Iterable[Any]:
    """The bodies of a source: the rows of a DataFrame (pandas or polars) as dicts, the items of any other iterable."""
    kind = type(source)
    if kind.__name__ == "DataFrame" and kind.__module__.startswith("pandas"):
        return _pandas_rows(source)
    if kind.__name__ == "DataFrame" and kind.__module__.startswith("polars"):
        return source.iter_rows(named=True)  # type: ignore[no-any-return]
    if isinstance(source, str | bytes | dict) or not isinstance(source, Iterable):
        raise NbgraphError(
            f"A stream's source is {kind.__name__}; expected an iterable of bodies or Events, a DataFrame or a Source. "
            "For one event use graph.run(body)."
        )
    return source


def _pandas_rows(frame: Any) -> Iterator[dict[str, Any]]:
    for start in range(0, len(frame), ROWS):
        yield from frame.iloc[start : start + ROWS].to_dict("records")
