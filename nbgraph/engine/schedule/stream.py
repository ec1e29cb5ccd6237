"""Stream: many events through one plan; answers come lazily, in the order of the input."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from functools import partial
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.plan import Answers, Plan
from nbgraph.engine.schedule.channel import aiterate, iterate
from nbgraph.engine.schedule.scheduler import ScheduledEvent, scheduled
from nbgraph.engine.schedule.source_reader import (
    END,
    LoopSourceReader,
    SourceCommit,
    SourceReader,
    ThreadSourceReader,
    commit_of,
)
from nbgraph.errors import NbgraphError, RowError, StepError
from nbgraph.event import Event, entering
from nbgraph.steps.dataframe import is_arrow, is_frame, rows_of_arrow
from nbgraph.steps.sources.base import Source
from nbgraph.steps.sources.dataframe import rows_of_frame

Key = str | Callable[[Any], Any] | None
Entering = Callable[[Any], Event]
Running = Callable[[Callable[[], Any]], Awaitable[Any]]
PLAIN = (list, tuple, range, dict, set, frozenset, deque)  # reading these never blocks


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

    def __init__(self, make: Callable[[], Iterator[Any]], rows: Iterator[Any] | None = None) -> None:
        self._make, self._rows = make, rows
        self._answers = make()

    def __iter__(self) -> Iterator[Any]:
        return self._answers  # the generator itself: no overhead for `for`

    def __next__(self) -> Any:
        try:
            return next(self._answers)
        except StopIteration:
            raise
        except Exception:
            self._answers = self._make()  # a generator that raised has ended; the source has not
            raise

    def rest(self) -> Iterator[Any]:
        """The answers behind an error, which has ended a `for` loop."""
        self._answers = self._make()
        return self._answers

    def close(self) -> None:
        """Stop; the rest of the source is not read, and a broker is notified."""
        self._answers.close()  # type: ignore[attr-defined]  # a generator, declared as what `next` needs
        if isinstance(self._rows, Generator):
            self._rows.close()


def stream(plan: Plan, source: Any, *, key: Key = None, is_whole: bool = True) -> Stream:
    """The answers to all events of a source; with `is_whole` steps release what they hold at its end."""
    is_async = plan.is_async or plan.is_staged
    commit = commit_of(source, plan, is_one_by_one=not is_async)
    rows = iter(commit if commit is not None else rows_of(source))
    for observer in plan.observers if is_whole else ():
        observer.reading(len(source) if hasattr(source, "__len__") else None)
    enter = _enter(plan, key)
    if is_async:
        # One iterator, whatever fails: events in flight must not be lost with a generator.
        outcomes = iterate(_outcomes(plan, lambda: _reader(source, rows, commit), enter, is_whole, commit))
        return Stream(lambda: _answers_of_outcomes(outcomes), outcomes)
    ends = _released(plan) if is_whole else iter(())
    return Stream(lambda: _answers(plan, rows, enter, ends, commit), rows)


async def astream(plan: Plan, source: Any, *, key: Key = None) -> AsyncGenerator[Any, None]:
    """As `stream`, for `async for`; the source may be async too."""
    if plan.is_async or plan.is_staged:
        async with aclosing(_raising(_async_outcomes(plan, source, key))) as answers:
            async for answer in answers:
                yield answer
        return
    if hasattr(source, "__aiter__"):
        async with _closing(source):
            async for item in source:
                found: list[Any] = await loop.on_thread(list, stream(plan, [item], key=key, is_whole=False))
                for answer in found:
                    yield answer
        source = ()
    async with aclosing(_on_threads(stream(plan, source, key=key))) as answers:
        async for answer in answers:
            yield answer


def answers(plan: Plan, event: Event) -> Stream:
    """Every answer to an entered event, lazily."""
    if plan.is_async or plan.is_staged:
        outcomes = iterate(_outcomes_of(plan, event))
        return Stream(lambda: _answers_of_outcomes(outcomes), outcomes)
    given = _given_by(plan, event)
    return Stream(lambda: given, given)


async def answers_of(plan: Plan, event: Event, run: Running = loop.on_thread) -> AsyncGenerator[Any, None]:
    """As `answers`; closing it closes the generators of its steps.

    `run` makes the calls of a synchronous plan on another thread.
    """
    if plan.is_async or plan.is_staged:
        given = _raising(_outcomes_of(plan, event))
    else:
        given = _on_threads(answers(plan, event), run)
    async with aclosing(given) as found:
        async for answer in found:
            yield answer


async def _raising(outcomes: AsyncGenerator[list[Any], None]) -> AsyncGenerator[Any, None]:
    async with aclosing(aiterate(outcomes)) as found:
        async for outcome in found:
            if isinstance(outcome, _Failed):
                raise outcome.error
            yield outcome


async def _on_threads(answers: Stream, run: Running = loop.on_thread) -> AsyncGenerator[Any, None]:
    """The answers of a synchronous plan, each made on a worker thread; closed only between two of them."""
    turn = threading.Lock()

    def made() -> Any:
        with turn:
            return next(answers, END)

    def closed() -> None:
        with turn:
            answers.close()

    try:
        while (answer := await run(made)) is not END:
            yield answer
    finally:
        await run(closed)


@asynccontextmanager
async def _closing(source: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


def _answers(
    plan: Plan, rows: Iterator[Any], enter: Entering, ends: Iterator[tuple[str, Any]], commit: SourceCommit | None
) -> Iterator[Any]:
    while True:
        try:
            if plan.fused is not None and not plan.observers:
                yield from plan.fused(rows)
            else:
                for row in rows:
                    answers = Answers()
                    try:
                        plan.handle(enter(row), answers)
                    except StepError:
                        yield from answers.all()  # the answers before the error
                        raise
                    yield from answers.all()
            break
        except RowError as error:  # a bad row is raised; those behind it follow
            yield from loop.without_waiting(plan.arefused(error)).all()
    for name, chunk in ends:
        yield from plan.resume(name, chunk).all()
    if commit is not None:
        commit.end()


def _given_by(plan: Plan, event: Event) -> Iterator[Any]:
    """The answers to one event of a synchronous plan."""
    interpreter = plan.interpreter(event, plan.observers)
    given = 0
    try:
        with closing(interpreter.moves()) as moves:
            for _ in moves:
                yield from interpreter.answers[given:]
                given = len(interpreter.answers)
    except StepError as error:
        raise plan.reported(error, interpreter.answers) from error.__cause__
    if not given:
        yield from interpreter.answers.late


def _released(plan: Plan) -> Iterator[tuple[str, Any]]:
    """The answers to what steps still hold, in topological order."""
    for name in plan.holders:
        release = plan.steps[name].call.release
        for chunk in release() if release is not None else ():
            yield name, chunk


class _Failed:
    """An error passed out of an async iterator as a value, since raising it there would end the iterator."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _answers_of_outcomes(outcomes: Iterator[Any]) -> Iterator[Any]:
    for outcome in outcomes:
        if isinstance(outcome, _Failed):
            raise outcome.error
        yield outcome


def _outcomes_of(plan: Plan, event: Event) -> AsyncGenerator[list[Any], None]:
    return _outcomes(plan, lambda: SourceReader(iter([event])), has_entered, False, None)


def _async_outcomes(plan: Plan, source: Any, key: Key) -> AsyncGenerator[list[Any], None]:
    enter = _enter(plan, key)
    if hasattr(source, "__aiter__"):
        reader = LoopSourceReader(source)
        return _outcomes(plan, lambda: reader, enter, True, None)
    commit = commit_of(source, plan, is_one_by_one=False)
    rows = iter(commit if commit is not None else rows_of(source))
    return _outcomes(plan, lambda: _reader(source, rows, commit), enter, True, commit)


def _reader(source: Any, rows: Iterator[Any], commit: SourceCommit | None) -> SourceReader:
    """The reader of rows: direct, or on a thread if reading may block."""
    if commit is not None:
        return ThreadSourceReader(rows, ahead=1)  # rows read ahead but not done come again after a crash
    return SourceReader(rows) if isinstance(source, PLAIN) or is_frame(source) else ThreadSourceReader(rows)


async def _outcomes(
    plan: Plan, make: Callable[[], SourceReader], enter: Entering, is_whole: bool, commit: SourceCommit | None
) -> AsyncGenerator[list[Any], None]:
    """Answers, and errors as `_Failed`, in lists."""
    reader = make()
    reader.open()
    try:
        if not is_whole and not plan.is_staged:
            async with aclosing(_given(plan, reader, enter)) as given:
                async for outcome in given:
                    yield [outcome]
            return
        async with aclosing(_runs(plan, reader, enter)) as done:
            async for runs in done:
                yield [outcome for run in runs for outcome in _outcomes_of_run(run)]
                if commit is not None:
                    for run in runs:
                        await loop.on_thread(commit.through, run.event)
    finally:
        await reader.close()
    released: Iterator[tuple[str, Any]] = _released(plan) if is_whole else iter(())
    for name, chunk in released:
        try:
            yield (await plan.aresume(name, chunk)).all()
        except StepError as error:
            yield [_Failed(error)]
    if commit is not None:
        await loop.on_thread(commit.end)


async def _given(plan: Plan, reader: SourceReader, enter: Entering) -> AsyncGenerator[Any, None]:
    """The answers to one event, lazily."""
    while (row := await reader.next()) is not END:
        interpreter = plan.interpreter(enter(row), plan.observers)
        try:
            async with aclosing(interpreter.stream_answers()) as given:
                async for answer in given:
                    yield answer
        except StepError as error:
            yield _Failed(plan.reported(error, interpreter.answers))


def _outcomes_of_run(run: ScheduledEvent) -> list[Any]:
    return run.answers.all() if run.error is None else [*run.answers.all(), _Failed(run.error)]


def _runs(plan: Plan, reader: SourceReader, enter: Entering) -> AsyncGenerator[list[ScheduledEvent], None]:
    """The finished events: many at once if steps are concurrent, else one after the other."""
    if plan.is_staged:
        return scheduled(plan, reader, lambda row: _entered(row, enter))
    return _one_by_one(plan, reader, enter)


async def _one_by_one(plan: Plan, reader: SourceReader, enter: Entering) -> AsyncGenerator[list[ScheduledEvent], None]:
    while (row := await reader.next()) is not END:
        run = _entered(row, enter)
        try:
            if run.error is None:
                await plan.aanswers(run.event, run.answers)
            elif isinstance(run.error, RowError):
                refused, run.error = run.error, None
                run.answers.extend((await plan.arefused(refused)).all())
        except StepError as error:
            run.error = error
        yield [run]


def _entered(row: Any, enter: Entering) -> ScheduledEvent:
    """The event of a row; with an error if the row can't become one."""
    try:
        return ScheduledEvent(enter(row))
    except Exception as error:
        run = ScheduledEvent(row if isinstance(row, Event) else Event(row))
        run.error = error
        return run


def _enter(plan: Plan, key: Key) -> Entering:
    """The function that makes events of rows; with routes it also refuses them, before anything runs."""
    routing = plan.routing
    if routing is None:
        return partial(event_of_row, key=key)

    def enter(row: Any) -> Event:
        event = event_of_row(row, key)
        routing.admit(event)
        return event

    return enter


def has_entered(event: Event) -> Event:
    """The event itself: its body is decoded already, and must not be decoded twice."""
    return event


def event_of_row(row: Any, key: Key) -> Event:
    """The event around a row of a source; `key` is a field of its body, or a function of that."""
    event = entering(row)
    if key is not None:
        event.key = key(event.body) if callable(key) else _field(event.body, key)
    return event


def _field(body: Any, name: str) -> Any:
    try:
        return body[name]
    except (KeyError, TypeError, IndexError):
        there = ", ".join(map(str, body)) if isinstance(body, dict) else type(body).__name__
        raise NbgraphError(f'The body has no field "{name}" for a key; it has: {there}.') from None


def rows_of(source: Any) -> Iterable[Any]:
    """The bodies of a source: the rows of a DataFrame or a table of Arrow as dicts, the items of any other iterable."""
    kind = type(source)
    if isinstance(source, Source):
        return source.entries()
    if is_frame(source):
        return rows_of_frame(source)
    if is_arrow(source):
        return rows_of_arrow(source)
    if isinstance(source, str | bytes | dict) or not isinstance(source, Iterable):
        raise NbgraphError(
            f"A stream's source is {kind.__name__}; expected an iterable of bodies or Events, a DataFrame or a Source. "
            "For one event use graph.run(body)."
        )
    return source
