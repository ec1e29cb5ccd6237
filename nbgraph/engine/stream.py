"""Stream: many events through one plan, answers in the order of the input, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.plan import Answers, Plan, entering
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
    rows = iter(rows_of(source))
    return Stream(lambda: _answers(plan, rows, key, is_whole))


def _answers(plan: Plan, rows: Iterator[Any], key: Key, is_whole: bool) -> Iterator[Any]:
    if plan.is_async:
        yield from loop.iterate(_async_answers(plan, rows, key, is_whole))
        return
    if plan.fused is not None and not plan.observers:
        yield from plan.fused(map(_body, rows))
    else:
        for event in _events(rows, key):
            yield from _one(plan, event, is_lazy=not is_whole)
    if is_whole:
        yield from _released(plan)


def _one(plan: Plan, event: Event, *, is_lazy: bool) -> Iterator[Any]:
    """The answers to one event; lazily, one by one as its steps give them, for a single event's `answers`."""
    if not is_lazy:
        yield from plan.handle(event).all()
        return
    walk = plan.walk(event, plan.observers)
    given = 0
    for _ in walk.moves():
        yield from walk.answers[given:]
        given = len(walk.answers)
    if not given:
        yield from walk.answers.late


def _released(plan: Plan) -> Iterator[Any]:
    """What steps hold back at the end of the source, each in turn, flowing on from there."""
    for name, step in plan.steps.items():
        if step.call.release is not None:
            for chunk in step.call.release():
                yield from _resume(plan, name, chunk).all()


def _resume(plan: Plan, name: str, chunk: Any) -> Answers:
    """Let one thing that a step held back go on from it."""
    event = chunk if isinstance(chunk, Event) else Event(chunk)
    after = plan.after.get(name)
    answers = Answers()
    if after is not None and not plan.observers:
        after(event.body, event, answers)
        return answers
    walk = plan.resumed(name, event, chunk)
    return loop.without_waiting(walk.finish())


async def _async_answers(plan: Plan, rows: Iterator[Any], key: Key, is_whole: bool) -> AsyncIterator[Any]:
    for event in _events(rows, key):
        for answer in (await plan.aanswers(event)).all():
            yield answer
    for name, step in plan.steps.items():
        if is_whole and step.call.release is not None:
            for chunk in step.call.release():
                event = chunk if isinstance(chunk, Event) else Event(chunk)
                for answer in (await plan.resumed(name, event, chunk).finish()).all():
                    yield answer


async def astream(plan: Plan, source: Any, *, key: Key = None) -> AsyncIterator[Any]:
    """As `stream`, for `async for`; the source may be async too."""
    if isinstance(source, AsyncIterator) or hasattr(source, "__aiter__"):
        async for item in source:
            for answer in await _each(plan, item, key):
                yield answer
        source = ()
    for item in rows_of(source):
        for answer in await _each(plan, item, key):
            yield answer
    for answer in await loop.on_thread(lambda: list(Stream(lambda: _answers(plan, iter(()), key, True)))):
        yield answer


async def _each(plan: Plan, item: Any, key: Key) -> list[Any]:
    event = next(_events(iter([item]), key))
    if plan.is_async:
        return (await loop.away(plan.aanswers(event))).all()
    return (await loop.on_thread(plan.handle, event)).all()


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
