"""Whoever leaves early closes what he started: the steps that are giving, and the source, come to their `finally`."""

import asyncio
import time
from contextlib import aclosing

import pytest

from nbgraph import Event, Graph, GraphError, StepError
from nbgraph.engine.interpret.observer import Observer
from nbgraph.engine.schedule.stream import answers_of
from nbgraph.steps import SQLTarget

SOON = 2.0  # seconds in which a `finally` must have run


class Rows:
    """A source, and steps that give several results; `ended` tells which of them came to their end."""

    def __init__(self):
        self.ended = []

    def rows(self):
        try:
            yield from range(1000)
        finally:
            self.ended.append("source")

    async def arows(self):
        try:
            for number in range(1000):
                yield number
                await asyncio.sleep(0)
        finally:
            self.ended.append("source")

    def outer(self, body):
        try:
            yield from range(1000)
        finally:
            self.ended.append("outer")

    async def aouter(self, body):
        try:
            for number in range(1000):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            self.ended.append("outer")

    def inner(self, body):
        try:
            yield body
            yield body
        finally:
            self.ended.append("inner")

    async def ainner(self, body):
        try:
            yield body
            yield body
        finally:
            self.ended.append("inner")


def graph_of(*handlers, **options):
    graph = end = Graph("g")
    for number, handler in enumerate(handlers):
        end = end.to(handler, f"s{number}", **options)
    return graph


async def wait(body):
    await asyncio.sleep(0)
    return body


def same(body):
    return body


def soon(is_so):
    """Whether it is so within a while."""
    deadline = time.monotonic() + SOON
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.005)
    return is_so()


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("outer", ["outer", "aouter"])
@pytest.mark.parametrize("inner", ["inner", "ainner"])
@pytest.mark.parametrize("options", [{}, {"retries": 1}, {"timeout": 9}])
def test_generators_of_an_event_that_is_left_are_closed_the_inner_first(outer, inner, watched, options):
    rows = Rows()
    graph = graph_of(getattr(rows, outer), getattr(rows, inner), same, **options)
    if watched:
        graph.observers.append(Observer())
    answers = graph.answers(1)
    next(answers)
    answers.close()
    assert (rows.ended[-2:], rows.ended.count("outer")) == (["inner", "outer"], 1)


@pytest.mark.parametrize("outer", ["outer", "aouter"])
@pytest.mark.parametrize("inner", ["inner", "ainner"])
def test_generators_upstream_of_a_step_that_fails_are_closed(outer, inner):
    def fail(body):
        raise ValueError

    rows = Rows()
    graph = graph_of(getattr(rows, outer), getattr(rows, inner), fail)
    graph.observers.append(Observer())
    with pytest.raises(StepError):
        graph.run(1)
    assert rows.ended == ["inner", "outer"]


def test_what_fails_when_it_is_closed_is_logged_by_name(caplog):
    def gen(body):
        try:
            yield 1
            yield 2
        finally:
            raise ValueError("no end")

    graph = graph_of(gen, same)
    graph.observers.append(Observer())
    answers = graph.answers(1)
    next(answers)
    answers.close()
    assert 'Step "s0" of graph "g" failed when it was closed' in caplog.text


@pytest.mark.parametrize("step", [same, wait])
@pytest.mark.parametrize("options", [{}, {"concurrency": 4}])
@pytest.mark.parametrize("queue", [False, True])
def test_a_stream_left_early_closes_its_source(step, options, queue):
    rows = Rows()
    graph = graph_of(step, **options)
    if queue:
        graph.step("s0").to("Queue", "q", max_size=2).to(same, "behind")
    answers = graph.stream(rows.rows())
    next(answers)
    answers.close()
    assert (rows.ended, list(answers)) == (["source"], [])


@pytest.mark.parametrize("step", [same, wait])
@pytest.mark.parametrize("options", [{}, {"concurrency": 4}])
@pytest.mark.parametrize("source", ["rows", "arows"])
def test_an_async_stream_left_early_closes_its_source(step, options, source):
    rows = Rows()

    async def main():
        async with aclosing(graph_of(step, **options).astream(getattr(rows, source)())) as answers:
            async for _ in answers:
                break

    asyncio.run(main())
    assert rows.ended == ["source"]


@pytest.mark.parametrize("step", [same, wait])
def test_a_loop_over_a_stream_that_is_broken_off(step):
    rows = Rows()
    for _ in graph_of(step).stream(rows.rows()):
        break
    assert soon(lambda: rows.ended == ["source"])


@pytest.mark.parametrize("step", [same, wait])
@pytest.mark.parametrize("options", [{}, {"concurrency": 4}])
def test_a_source_that_is_read_to_its_end_or_fails_is_closed_too(step, options):
    def fails():
        yield 1
        raise ValueError("no more")

    rows = Rows()
    assert len(list(graph_of(step, **options).stream(rows.rows()))) == 1000
    with pytest.raises(ValueError, match="no more"):
        list(graph_of(step, **options).stream(fails()))
    assert rows.ended == ["source"]


@pytest.mark.parametrize("step", [same, wait])
def test_answers_are_left_while_a_step_takes_its_time(step):
    rows, begun = Rows(), []

    async def slow(body):
        begun.append(body)
        await asyncio.sleep(60)

    async def main():
        graph = graph_of(rows.outer, step, slow)
        drawing = asyncio.ensure_future(anext(answers_of(graph.plan(), Event(1))))
        while not begun:
            await asyncio.sleep(0.001)
        drawing.cancel()
        await asyncio.wait({drawing})

    asyncio.run(main())
    assert soon(lambda: rows.ended == ["outer"])


def run_to_its_end(graph, bodies):
    with graph.start() as run:
        for body in bodies:
            run.push(body)


def debugged(graph, bodies):
    graph.debug([Event(body) for body in bodies]).resume()


@pytest.mark.parametrize(
    "life",
    [
        lambda graph, bodies: list(graph.stream(bodies)),
        run_to_its_end,
        debugged,
    ],
    ids=["stream", "start", "debug"],
)
@pytest.mark.parametrize("is_handled", [False, True])
def test_what_fails_at_the_end_of_a_stream_is_the_step_s_error(tmp_path, life, is_handled):
    told = []
    graph = Graph("g")
    graph.to(SQLTarget(f"sqlite:///{tmp_path}/x.db", "t", max_events=100), "write")
    if is_handled:
        graph.error_handler(lambda event: told.append((event.origin, type(event.error))), "told", full_event=True)
        life(graph, [{"i": 1}, {"i": "x"}])
        assert told == [("write", GraphError)]
    else:
        with pytest.raises(StepError, match='Step "write" failed: GraphError: SQLTarget, column "i"'):
            life(graph, [{"i": 1}, {"i": "x"}])
