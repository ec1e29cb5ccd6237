"""Synchronous steps of an asynchronous graph run as in a synchronous one: no loop is to be seen on their thread."""

import asyncio
import contextvars
import threading

import anyio
import pytest

from nbgraph import Graph, steps
from nbgraph.engine.interpret.observer import Observer

current = contextvars.ContextVar("current", default="none")


async def wait(body):
    await asyncio.sleep(0)
    return body


async def plus_one(body):
    await anyio.sleep(0)
    return body + 1


def by_anyio(body):
    return anyio.run(plus_one, body)


def by_runner(body):
    with asyncio.Runner() as runner:
        return runner.run(plus_one(body))


def by_own_loop(body):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(plus_one(body))
    finally:
        loop.close()


def by_graph(body):
    inner = Graph("inner")
    inner.to(plus_one)
    return inner.run(body)


def chunks(body):
    yield anyio.run(plus_one, body)
    yield anyio.run(plus_one, body + 1)


class Object:
    def do(self, body):
        return anyio.run(plus_one, body)


class Wrapped:
    """As `async_to_sync` wraps: an object that can be a method."""

    def __get__(self, instance, owner):
        return self

    def __call__(self, body):
        return anyio.run(plus_one, body)


def by_event(event):
    event.body = anyio.run(plus_one, event.body)


def graph_of(handler, **options):
    graph = Graph("g")
    graph.to(wait).to(handler, "sync", **options).to(wait, "after")
    return graph


@pytest.mark.parametrize(
    ("handler", "options"),
    [(by_anyio, {}), (by_runner, {}), (by_own_loop, {}), (by_graph, {}), (Object, {}), (Wrapped(), {}),
     (by_event, {"full_event": True}),
     (by_anyio, {"retries": 1}), (by_anyio, {"timeout": 5}), (by_anyio, {"concurrency": 2}),
     (lambda body: asyncio.run(plus_one(body)), {}), (steps.Map(by_anyio), {})],
)  # fmt: skip
def test_libraries_that_look_for_a_loop_work(handler, options):
    graph, watched = graph_of(handler, **options), graph_of(handler, **options)
    watched.observers.append(Observer())
    with graph.start() as run:
        future = run.push(1)
    assert [graph.run(1), watched.run(1), list(graph.stream([1, 2])), asyncio.run(graph.arun(1)), future.result()] == [
        2, 2, [2, 3], 2, 2,
    ]  # fmt: skip


def test_generators_see_no_loop_either_and_are_closed():
    graph = graph_of(chunks)
    answers = graph.answers(1)
    first = next(answers)
    answers.close()
    assert (first, list(graph.answers(1))) == (2, [2, 3])


def test_context_variables_are_kept_and_so_is_the_order():
    seen = []

    def told(body):
        seen.append((body, current.get(), threading.current_thread().name))
        return body

    async def sets(body):
        current.set(f"event {body}")
        return body

    graph = Graph("g")
    graph.to(sets).to(told, "told")
    list(graph.stream([1, 2, 3]))
    assert [(body, name) for body, name, _ in seen] == [(1, "event 1"), (2, "event 2"), (3, "event 3")]


def test_the_loop_is_there_again_behind_a_step_that_fails():
    def fail(body):
        raise ValueError(str(body))

    graph = graph_of(fail)
    graph.step("sync").error_handler(wait, "caught").respond()
    assert [graph.run(1), graph.run(2)] == [1, 2]
