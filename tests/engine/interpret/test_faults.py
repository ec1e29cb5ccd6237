"""What a step raises that is no Exception is its error like any other; Ctrl-C and cancellation stay what they are."""

import asyncio
import contextlib
import gc
import sys
import threading
import warnings

import pytest

from nbgraph import Event, Graph, GraphError, StepError, steps
from nbgraph.engine.interpret.observer import Observer
from nbgraph.testing import assert_same


class Stop(BaseException):
    """No Exception, but a step's own."""


ENDS = [SystemExit, GeneratorExit, asyncio.CancelledError, Stop]


def leaving(kind, is_async=False, bodies=(2,)):
    """A step that raises at some bodies."""

    def f(body):
        if body in bodies:
            raise kind(3)
        return body

    async def af(body):
        await asyncio.sleep(0)
        return f(body)

    return af if is_async else f


async def waits(body):
    inner = asyncio.ensure_future(asyncio.sleep(9))
    inner.cancel()
    await inner


def graph_of(*handlers, **options):
    graph = end = Graph("g")
    for number, handler in enumerate(handlers):
        end = end.to(handler, f"s{number}", **options)
    return graph


def told(work):
    try:
        return work()
    except StepError as error:
        return error.step, type(error.__cause__)


def streamed(answers):
    found = []
    while True:
        try:
            found.append(next(answers))
        except StopIteration:
            return found
        except StepError as error:
            found.append((error.step, type(error.__cause__)))


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", ENDS)
def test_all_ways_of_running_tell_the_step(kind, is_async):
    graph = graph_of(leaving(kind, is_async))
    error = "s0", kind
    with graph.start() as run:
        futures = [run.push(body) for body in (1, 2, 3)]
    assert [
        told(lambda: graph.run(2)),
        told(lambda: asyncio.run(graph.arun(2))),
        streamed(graph.stream([1, 2, 3])),
        streamed(graph.stream(body for body in (1, 2, 3))),
        streamed(graph.answers(2)),
        [told(future.result) for future in futures],
        type(graph.trace(2).frames[0].error),
        told(graph.debug(2).resume),
    ] == [error, error, [1, error, 3], [1, error, 3], [error], [1, error, 3], kind, error]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", ENDS)
def test_concurrent_calls_tell_it_too(kind, is_async):
    graph = graph_of(leaving(kind, is_async), concurrency=3)
    observed = graph_of(leaving(kind, is_async), concurrency=3)
    observed.observers.append(Observer())
    expected = [1, ("s0", kind), 3, 4]
    with graph.start() as run:
        futures = [run.push(body) for body in (1, 2, 3, 4)]
    assert [
        streamed(graph.stream([1, 2, 3, 4])),
        streamed(observed.stream([1, 2, 3, 4])),
        [told(future.result) for future in futures],
    ] == [expected] * 3


def test_a_task_inside_a_step_that_was_cancelled_is_the_steps_error():
    assert_same(graph_of(waits), [1])
    assert told(lambda: graph_of(waits).run(1)) == ("s0", asyncio.CancelledError)


@pytest.mark.parametrize("kind", ENDS)
def test_error_handlers_are_asked(kind):
    def handled(when):
        graph = graph_of(leaving(kind))
        graph.step("s0").error_handler("(-event)", "h", on=when)
        return told(lambda: graph.run(2))

    whole = graph_of(leaving(kind, True))
    whole.error_handler("(-event)", "h")
    name = kind.__name__ if kind is SystemExit else f"ValueError | {kind.__name__}"
    parsed = Graph.parse(
        f"%%graph g\nf -> h on error {name}\n",
        namespace={"f": leaving(kind), "h": lambda body: -body, "Stop": Stop, "CancelledError": asyncio.CancelledError},
    )
    assert [handled(None), handled("ValueError"), whole.run(2), parsed.run(2)] == [-2, ("s0", kind), -2, -2]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", ENDS)
def test_it_is_tried_again(kind, is_async, monkeypatch):
    monkeypatch.setattr("nbgraph.engine.compile.retry.FIRST_PAUSE", 0.0)

    def run(**options):
        calls = []

        def f(body):
            calls.append(body)
            if len(calls) < 3:
                raise kind
            return len(calls)

        async def af(body):
            return f(body)

        return told(lambda: graph_of(af if is_async else f, **options).run(1))

    error = "s0", kind
    assert [run(retries=2), run(retries=2, retry_on=kind), run(retries=2, retry_on=ValueError), run(timeout=5)] == [
        3, 3, error, error,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ENDS)
def test_a_generator_in_the_middle(kind):
    def gen(body):
        yield body
        raise kind

    async def agen(body):
        yield body
        raise kind

    def after(body):
        return body

    for draws in (gen, agen):
        graph = graph_of(draws, after)
        assert streamed(graph.answers(1)) == [1, ("s0", kind)]
        assert told(lambda graph=graph: graph.run(1)) == ("s0", kind)
        assert streamed(graph.stream([1, 2]))[-1] == ("s0", kind)
        assert_same(graph, [1])


@pytest.mark.parametrize("kind", ENDS)
def test_conditions_and_outlets(kind):
    class Chooses:
        def select_outlets(self, body):
            raise kind

    def when(body):
        raise kind

    condition, outlets = graph_of(str), graph_of(Chooses, str)
    condition.step("s0").to(str, "t", when=when)
    assert [told(lambda: condition.run(1)), told(lambda: outlets.run(1))] == [("s0", kind)] * 2


@pytest.mark.parametrize("kind", ENDS)
def test_constructors(kind):
    class Builds:
        def __init__(self):
            raise kind

        def do(self, body):
            return body

    class Readies(Builds):
        def __init__(self):
            pass

        def post_init(self):
            raise kind

    for handler in (Builds, Readies):
        with pytest.raises(GraphError, match=f'Step "s0" can\'t be built: {kind.__name__}'):
            graph_of(handler).run(1)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", ENDS)
def test_routers(kind, is_async):
    routes = {"m1": leaving(kind, is_async), "m2": leaving(ValueError, is_async, ())}
    for executor in ("array", "thread"):
        graph = Graph("g")
        graph.to(steps.ParallelRun, "par", executor_type=executor)
        for name, route in routes.items():
            graph.step("par").add_route(name, route)
        with pytest.raises(StepError, match=rf'^Step "par" failed: RouteCallError: Route "m1" failed: {kind.__name__}'):
            graph.run(2)


@pytest.mark.parametrize("kind", ENDS)
def test_models(kind):
    class Model(steps.ModelServer):
        def load(self):
            pass

        def predict(self, request):
            raise kind

    for options in ({}, {"max_batch": 4}):
        graph = Graph("g")
        graph.to(steps.VotingEnsemble, "e")
        graph.step("e").add_route("m1", Model, **options)
        with pytest.raises(StepError, match=f'^Step "e" failed: .*{kind.__name__}'):
            graph.run({"inputs": [1]})


def test_ctrl_c_stays_what_it_is():
    async def stops(body):
        raise KeyboardInterrupt

    def stop(body):
        raise KeyboardInterrupt

    for handler in (stop, stops):
        graph = graph_of(handler)
        graph.error_handler(str, "h")
        with pytest.raises(KeyboardInterrupt):
            graph.run(1)


def test_a_run_that_is_cancelled_is_no_error_of_its_step():
    seen, begun = [], threading.Event()

    async def waits_long(body):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(type(sys.exception()))

    graph = graph_of(waits_long)
    graph.error_handler(seen.append, "h")

    async def main():
        run = asyncio.ensure_future(graph.arun(1))
        await asyncio.to_thread(begun.wait)
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
        while not seen:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        return run.cancelled()

    assert (asyncio.run(main()), seen) == (True, [asyncio.CancelledError])


def test_a_run_that_is_closed_where_it_stands_is_no_error_of_its_step():
    async def waits_long(body):
        await asyncio.sleep(60)

    graph, seen = graph_of(waits_long), []
    graph.error_handler(seen.append, "h")

    async def main():
        run = graph.plan().ahandle(Event(1))
        run.send(None)
        return run

    run = asyncio.run(main())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.close()
        gc.collect()
    assert seen == []


def test_stop_iteration_of_a_concurrent_step_is_told():
    def f(body):
        return next(iter(()))

    assert told(lambda: list(graph_of(f, concurrency=2).stream([1])))[0] == "s0"


def test_an_error_handler_finds_the_origin_by_both_names():
    graph = graph_of(leaving(ValueError))
    graph.error_handler(lambda event: Event((event.origin, event.origin_state)), "h", full_event=True)
    assert graph.run(2) == ("s0", "s0")
