"""Queues and held steps in a long-lived run: what waits, where, how much of it, and that nothing is lost by it."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Graph, StepError
from nbgraph.engine.interpret.observer import Observer
from nbgraph.errors import NbgraphError
from nbgraph.steps import Batch, Queue

pytestmark = pytest.mark.timeout(20)


def until(holds):
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.002)


def test_what_lies_before_a_queue_goes_on_until_the_queue_is_full():
    gate, seen = threading.Event(), []
    graph = Graph("g")
    graph.to(lambda body: seen.append(body) or body, "quick").to(Queue("q", max_size=3)).to(
        lambda body: gate.wait() and body, "slow"
    )
    with graph.start() as run:
        futures = [run.push(number) for number in range(10)]
        until(lambda: len(seen) == 4)  # one is at the slow step, three fill the queue
        time.sleep(0.05)
        found = (list(seen), run.waiting(), futures[0].done())
        gate.set()
    assert (*found, [future.result() for future in futures]) == ([0, 1, 2, 3], {"q": 3}, False, list(range(10)))


def test_a_step_is_held_while_the_others_go_on():
    seen = []
    graph = Graph("g")
    split = graph.to("(event)", "split")
    split.to(lambda body: seen.append(("a", body)), "a")
    split.to(lambda body: seen.append(("b", body)), "b")
    with graph.start() as run:
        run.hold("b")
        for number in range(3):
            run.push(number)
        until(lambda: run.waiting() == {"b": 3})
        while_held = list(seen)
        run.release("b")
        run.flush()
    assert (while_held, sorted(seen)) == (
        [("a", 0), ("a", 1), ("a", 2)],
        [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)],
    )
    assert [number for step, number in seen if step == "b"] == [0, 1, 2]


def test_behind_a_queue_events_wait_in_the_queue_for_a_step_that_is_held():
    graph = Graph("g")
    graph.to("(event)", "a").to(Queue("q", max_size=5)).to("(event)", "b").to("(event)", "c")
    with graph.start() as run:
        run.hold("c")
        futures = [run.push(number) for number in range(20)]
        until(lambda: run.waiting() == {"c": 1, "q": 5})
        with pytest.raises(NbgraphError, match=r"holds a step they wait for; resume\(\) or release"):
            run.flush()
        run.hold("q")
        run.release("c")
        until(lambda: futures[0].done())
        assert run.waiting()["q"] == 5
    assert [future.result() for future in futures] == list(range(20))


def test_a_name_that_can_not_be_held_is_told():
    graph = Graph("g")
    graph.to("(event)", "a")
    with graph.start() as run, pytest.raises(NbgraphError, match='no step "z" to hold; steps: a'):
        run.hold("z")


def test_errors_behind_a_queue_come_to_whoever_pushed():
    graph = Graph("g")
    graph.to("(event)", "a").to(Queue("q")).to("(1 / event)", "b")
    with graph.start() as run:
        bad, good = run.push(0), run.push(2)
        with pytest.raises(StepError) as caught:
            bad.result(5)
        assert (caught.value.step, good.result(5)) == ("b", 0.5)


def test_batches_behind_a_queue_are_flushed_and_released_by_time():
    graph = Graph("g")
    graph.to("(event)", "a").to(Queue("q")).to(Batch(2)).to("(sum(event))", "sum")
    with graph.start() as run:
        for number in range(3):
            run.push(number)
        assert run.flush() == [2]
    timed, kept = Graph("t"), []
    timed.to(Queue("q")).to(Batch(10, flush_after_seconds=0.05)).to(kept.append)
    with timed.start() as run:
        run.push(1)
        until(lambda: kept == [[1]])


def test_a_cycle_may_lead_through_a_queue():
    graph = Graph("g")
    graph.to("(event + 1)", "a").to(Queue("q", max_size=1)).to("(event)", "b").cycle_to("a", max_iterations=10)
    graph.remove("b")
    graph.step("q").to("(event)", "b", when="event < 5").cycle_to("a")
    graph.step("q").to("(event)", "out", otherwise=True)
    with graph.start() as run:
        futures = [run.push(number) for number in range(6)]
    assert [future.result() for future in futures] == [graph.run(number) for number in range(6)] == [5, 5, 5, 5, 5, 6]


class Told(Observer):
    def __init__(self):
        self.ways = []

    def started(self, event):
        self.ways.append(("started", event.body))

    def finished(self, event, answers, error):
        self.ways.append(("finished", list(answers)))


def test_an_observer_hears_once_of_the_begin_and_the_end_of_an_event():
    graph = Graph("g")
    split = graph.to("(event)", "a")
    split.to(Queue("q")).to("(event * 2)", "b")
    split.to(Queue("r")).to("(event * 3)", "c")
    told = Told()
    graph.observers.append(told)
    with graph.start() as run:
        run.push(1).result(5)
    assert (told.ways[0], [(kind, sorted(found)) for kind, found in told.ways[1:]]) == (
        ("started", 1), [("finished", [2, 3])]
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 4), many=st.integers(0, 12), concurrency=st.sampled_from([None, 3]), joins=st.booleans(),
    held=st.sampled_from([None, "a", "q", "b", "d"]),
)  # fmt: skip
def test_a_run_with_queues_answers_what_a_run_without_does(size, many, concurrency, joins, held):
    async def plus(body):
        return body + 1

    graph, sums = Graph("g"), []
    graph.to("(event * 2)", "a").to(Queue("q", max_size=size)).to(plus, "b", concurrency=concurrency).to(
        Queue("r", max_size=size)
    ).to("(event - 1)", "d").respond()
    graph.step("a").to(sums.append, "other")
    if joins:
        graph.step("a").to("(event)", "c", when="event > 4")
        graph.step("b").to("(event)", "e").to("(event)", "f")
        graph.add_step("(event)", "g", after=["c", "f"])
    expected = [graph.run(number) for number in range(many)]
    with graph.start() as run:
        if held:
            run.hold(held)
        futures = [run.push(number) for number in range(many)]
        if held:
            run.release(held)
    assert [future.result(5) for future in futures] == expected
    assert sorted(sums[many:]) == sums[:many]
