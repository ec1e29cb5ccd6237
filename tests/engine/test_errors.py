"""Errors: who takes them, what is told, that the next event is not affected."""

import asyncio
import logging
import time

import pytest

from nbgraph import Graph, GraphError, StepError
from nbgraph.engine.interpret.observer import Observer
from nbgraph.steps import Batch, Queue
from nbgraph.testing import ListTarget, assert_same


def divide(body):
    return 10 / body


async def adivide(body):
    await asyncio.sleep(0)
    return 10 / body


def told(event):
    event.body = (type(event.error).__name__, event.origin, event.body)


@pytest.mark.parametrize("handler", [divide, adivide])
def test_a_steps_handler_a_graphs_handler_and_none(handler):
    alone = Graph("g")
    alone.to(handler, "d").to("(event + 1)", "next")
    with pytest.raises(StepError) as caught:
        alone.run(0, key="k")
    error = caught.value
    assert (error.step, error.event.body, error.event.key, type(error.__cause__)) == ("d", 0, "k", ZeroDivisionError)
    assert alone.run(5) == 3.0

    own = Graph("g")
    own.to(handler, "d").error_handler(told, "own", full_event=True).to("(event + 1)", "next")
    own.error_handler(told, "all", full_event=True)
    assert [own.run(0), own.run(5)] == [("ZeroDivisionError", "d", 0), 3.0]

    whole = Graph("g")
    whole.to(handler, "d").to("(event + 1)", "next")
    whole.error_handler(told, "all", full_event=True)
    assert [whole.run(0), whole.run("x"), whole.run(5)] == [("ZeroDivisionError", "d", 0), ("TypeError", "d", "x"), 3.0]


@pytest.mark.parametrize("handler", [divide, adivide])
def test_before_lets_the_flow_go_on_and_the_responder_behind_answers(handler):
    graph = Graph("g")
    graph.to(handler, "d").error_handler("(-1)", "instead", before="next").to("(event + 1)", "next").respond()
    assert [outcome.answers for outcome in assert_same(graph, [0, 5])] == [(0,), (3.0,)]


def test_handlers_by_exception_type_the_first_that_fits():
    graph = Graph("g")
    graph.to(divide, "d").error_handler("('zero')", "zero", on=ZeroDivisionError)
    graph.step("d").error_handler("('other')", "other", on=(TypeError, "KeyError"))
    graph.error_handler("('any')", "any")
    graph.step("d").to("(event)", "end")
    assert [graph.run(0), graph.run("x")] == ["zero", "other"]
    with pytest.raises(GraphError, match="has an error handler already"):
        graph.step("d").error_handler(told, "again", on=ZeroDivisionError)


def test_a_failing_handler_is_an_error_of_its_own_and_poisons_nothing():
    graph = Graph("g")
    graph.to(divide, "d").error_handler("(1 / 0)", "bad")
    with pytest.raises(StepError) as caught:
        graph.run("x")
    assert (caught.value.step, type(caught.value.event.error).__name__) == ("bad", "TypeError")
    answers = graph.stream([0, 5])
    with pytest.raises(StepError):
        next(answers)
    assert list(answers) == [2.0]


def test_the_error_stream_gets_event_step_message_traceback():
    records = []
    graph = Graph("g", error_stream=ListTarget(records))
    graph.to(divide, "d")
    with pytest.raises(StepError):
        graph.run(0, id="e-1")
    [record] = records
    assert (record["event"]["id"], record["event"]["body"], record["step"], record["message"], record["type"]) == (
        "e-1", 0, "d", "division by zero", "ZeroDivisionError",
    )  # fmt: skip
    assert "in divide" in record["traceback"]


def test_errors_of_what_was_held_back_are_told_too():
    records = []
    graph = Graph("g", error_stream=records.append)
    graph.to(Batch(5)).to("(1 / 0)", "d")
    with pytest.raises(StepError):
        list(graph.stream([1]))
    assert [record["step"] for record in records] == ["d"]


def test_an_error_stream_that_fails_is_logged_and_hides_nothing(caplog):
    def broken(record):
        raise OSError("disk full")

    graph = Graph("g", error_stream=broken)
    graph.to(divide, "d")
    with caplog.at_level(logging.ERROR), pytest.raises(StepError, match="division by zero"):
        graph.run(0)
    assert "disk full" in caplog.text
    assert graph.run(5) == 2.0


@pytest.mark.parametrize("handler", [divide, adivide])
def test_a_stream_goes_on_after_an_error(handler):
    graph = Graph("g")
    graph.to(handler, "d")
    answers, found = graph.stream([5, 0, 10]), []
    while len(found) < 3:
        try:
            found.append(next(answers))
        except StepError as error:
            found.append(error.event.body)
    assert (found, list(answers)) == ([2.0, 0, 1.0], [])


def flaky(fails, kind=OSError):
    calls = []

    def call(body):
        calls.append(body)
        if len(calls) <= fails:
            raise kind("not yet")
        return len(calls)

    async def acall(body):
        return call(body)

    def generate(body):
        yield call(body)

    async def agenerate(body):
        yield call(body)

    return call, acall, generate, agenerate


@pytest.mark.parametrize("form", range(4))
def test_retries_for_named_exceptions_only(form):
    graph = Graph("g")
    graph.to(flaky(2)[form], "f", retries=2, retry_on=OSError)
    assert graph.run(1) == 3
    other = Graph("g")
    other.to(flaky(1, ValueError)[form], "f", retries=2, retry_on=(OSError,))
    with pytest.raises(StepError, match="not yet"):
        other.run(1)


def slow(body):
    time.sleep(body)
    return body


async def aslow(body):
    await asyncio.sleep(body)
    return body


def slow_chunks(body):
    yield 0
    time.sleep(body)
    yield body


async def aslow_chunks(body):
    yield 0
    await asyncio.sleep(body)
    yield body


@pytest.mark.parametrize("handler", [slow, aslow, slow_chunks, aslow_chunks])
def test_a_timeout_ends_the_wait(handler):
    graph = Graph("g")
    graph.to(handler, "s", timeout=0.1)
    began = time.monotonic()
    with pytest.raises(StepError, match=r"longer than its timeout of 0\.1 s"):
        list(graph.answers(2))
    assert time.monotonic() - began < 1
    assert list(graph.answers(0))[-1] == 0


def test_a_handlers_own_timeout_error_is_not_taken_for_the_steps():
    async def own(body):
        raise TimeoutError("of my own")

    graph = Graph("g")
    graph.to(own, timeout=5)
    with pytest.raises(StepError, match="of my own"):
        graph.run(1)


def test_a_step_that_calls_exit_leaves_the_loop_to_others():
    async def leave(body):
        raise SystemExit(3)

    graph = Graph("g")
    graph.to(leave)
    with pytest.raises(StepError, match="SystemExit: 3"):
        graph.run(1)
    other = Graph("o")
    other.to(adivide)
    assert other.run(5) == 2.0


def test_a_condition_can_not_be_a_coroutine():
    async def when(body):
        return True

    graph = Graph("g")
    graph.to(str, "a").to(str, "b", when=when)
    with pytest.raises(GraphError, match=r'"a" -> "b".*coroutine function'):
        graph.run(1)


def outcomes(answers):
    """What an iterator gives, its errors too."""
    found = []
    while len(found) < 9:
        try:
            found.append(next(answers))
        except StopIteration:
            break
        except StepError as error:
            found.append(str(error))
    return found


def two_and_no_more(body):
    yield body
    yield body + 1
    raise ValueError("no more")


async def two_and_no_more_async(body):
    for chunk in two_and_no_more(body):
        yield chunk


async def later(body):
    return body


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("behind", [None, later, "queue"])
@pytest.mark.parametrize("generator", [two_and_no_more, two_and_no_more_async])
def test_a_stream_gives_what_was_answered_before_an_error(generator, behind, watched):
    graph = Graph("g")
    step = graph.to(generator, "chunks")
    if behind is not None:
        step.to(Queue("q") if behind == "queue" else behind).to(lambda body: body, "end")
    if watched:
        graph.observers.append(Observer())
    error = 'Step "chunks" failed: ValueError: no more'
    assert outcomes(graph.stream([1, 5])) == [1, 2, error, 5, 6, error]
