"""Queues over a real NATS server in this kernel: the same answers as without, and what a queue promises."""

import asyncio
import itertools
import logging
import threading
import time
from concurrent.futures import CancelledError
from contextlib import aclosing

import nats
import pytest

from nbgraph import Event, Graph, GraphError, NbgraphError, StepError
from nbgraph.brokered.transports import embedded_server


def flow(name="flow"):
    """Two queues in a row, and steps that remember."""
    graph = Graph(name)
    graph.to("(event + 1)", "plus").to("Queue", "first").to("MapWithState", "sum", initial_state=0, fn=summed).to(
        "Queue", "second", key="$key", shards=4
    ).to("(event * 10)", "times")
    return graph


def summed(body, state):
    return body + state, body + state


def both(graph, bodies):
    """The answers of a stream with and without a broker."""
    return list(graph.stream(bodies)), list(graph.stream(bodies, streams="nats"))


def fork(name, *, responds):
    graph = Graph(name)
    start = graph.to("(event + 1)", "plus")
    start.to("(-event)", "minus")
    start.to("Queue", "q").to("(event * 10)", "times").to("Filter", "big", fn="event > 20")
    start.to("(event + 1000)", "far")
    if responds:
        graph.respond("big")
    return graph


def test_all_doors_give_the_answers_of_the_graph_without_a_broker():
    async def asynchronously():
        return await flow().arun(4, streams="nats"), [answer async for answer in flow().astream([1, 2], streams="nats")]

    graph = flow()
    found = [flow().run(4, streams="nats"), list(flow().answers(4, streams="nats")), asyncio.run(asynchronously())]
    assert found == [50, [50], (50, [20, 50])]
    assert list(graph.stream(range(300), streams="nats")) == list(flow().stream(range(300)))


@pytest.mark.parametrize("responds", [False, True])
def test_answers_stand_in_the_order_of_the_graph_whatever_passes_a_queue(responds):
    expected, found = both(fork("fork", responds=responds), [1, 2, 3])
    assert found == expected


def test_several_ends_confirm_with_the_id():
    assert fork("confirms", responds=False).run(1, id="e1", streams="nats") == {"id": "e1"}


def test_what_steps_hold_behind_queues_comes_when_the_source_ends():
    graph = Graph("held")
    graph.to("Queue", "a").to("Batch", max_events=2).to("Queue", "b").to("Reduce", initial_value=0, fn=joined)
    assert list(graph.stream([1, 2, 3], streams="nats")) == [6]


def joined(state, body):
    return state + sum(body)


def test_chunks_are_collected_in_one_part():
    graph = Graph("collected")
    graph.to(str.split).to("Flatten").to("Queue", "words").to(str.upper).to("Gather")
    expected, found = both(graph, ["a b", "c d e"])
    assert found == expected == [["A", "B"], ["C", "D", "E"]]


def test_a_cycle_is_counted_whatever_queue_stands_on_it():
    graph = Graph("round", max_iterations=3)
    graph.to("(event + 1)", "plus").to("Queue", "q").to("(event)", "same").cycle_to("plus")
    with pytest.raises(StepError) as found:
        graph.run(1, streams="nats")
    with pytest.raises(StepError) as expected:
        graph.run(1)
    assert str(found.value) == str(expected.value)


def test_functions_are_borders_too_and_handlers_take_errors_where_they_rise():
    graph = Graph("functions")
    graph.to("(event + 1)", "plus").to("(1 / event)", "inverse", function="other").error_handler(
        "('error', event)", "caught"
    )
    graph.step("inverse").to(str, "text", function="third")
    expected, found = both(graph, [-1, 1])
    assert found == expected == [("error", 0), "0.5"]


def test_errors_rise_in_their_place_with_step_event_and_cause():
    graph = Graph("failing")
    graph.to("(event + 1)", "plus").to("Queue", "q").to(inverse).respond()
    answers = graph.stream([0, -1, 3], streams="nats")
    found = [next(answers)]
    with pytest.raises(StepError, match='Step "inverse" failed: ZeroDivisionError') as error:
        next(answers)
    assert [*found, *answers] == [1.0, 0.25]
    assert (error.value.step, error.value.event.body, type(error.value.__cause__)) == ("inverse", 0, ZeroDivisionError)


def inverse(body):
    return 1 / body


def test_what_is_no_plain_data_is_told_with_its_place_and_type():
    graph = Graph("odd")
    graph.to(lambda body: {"model": [object()]}, "make").to("Queue", "q").to(len)
    assert graph.run(1) == 1
    with pytest.raises(StepError, match=r"the body\['model'\]\[0\] is a builtins.object. Let the step before") as error:
        graph.run(1, streams="nats")
    assert error.value.step == "q"


def test_answers_need_not_be_plain_data():
    graph = Graph("live")
    graph.to("Queue", "q").to(lambda body: {body, "set"}, "make")
    assert graph.run("a", streams="nats") == {"a", "set"}


def test_an_unknown_transport_is_told():
    with pytest.raises(NbgraphError, match="streams='rabbit' is not known; expected \"memory\""):
        flow().run(1, streams="rabbit")


def test_a_full_queue_makes_the_parts_before_it_wait():
    begun, done, ahead = [], [], []

    def begin(body):
        begun.append(body)
        ahead.append(len(begun) - len(done))
        return body

    async def finish(body):
        await asyncio.sleep(0.003)
        done.append(body)
        return body

    graph = Graph("full")
    graph.to(begin, "begin").to("Queue", "q", max_size=5).to(finish, "finish")
    found = list(graph.stream(range(50), streams="nats"))
    assert (found, 5 <= max(ahead) <= 8) == (list(range(50)), True)


def test_concurrent_steps_behind_a_queue_have_several_events_under_way_and_the_order_stays():
    under_way, most = [], []

    async def uneven(body):
        under_way.append(body)
        most.append(len(under_way))
        await asyncio.sleep(0.06 if body % 2 else 0.03)
        under_way.remove(body)
        return body

    graph = Graph("concurrent")
    behind = graph.to("Queue", "q").to(uneven, "uneven", concurrency=16).to("Queue", "r")
    behind.to("MapWithState", initial_state=0, fn=summed)
    found = list(graph.stream(range(64), streams="nats"))
    assert (found, 4 < max(most) <= 16) == (list(itertools.accumulate(range(64))), True)


def test_errors_in_concurrent_steps_rise_in_their_place():
    graph = Graph("concurrent-errors")
    graph.to("Queue", "q").to(late_inverse, "inverse", concurrency=4).to("Queue", "r").to("(event * 2)")
    answers = graph.stream([1, 0, 4], streams="nats")
    assert next(answers) == 2
    with pytest.raises(StepError, match='Step "inverse" failed: ZeroDivisionError'):
        next(answers)
    assert list(answers) == [0.5]


async def late_inverse(body):
    await asyncio.sleep(0.01)
    return 1 / body


def test_the_source_is_read_no_further_than_the_window():
    read = []
    answers = flow().stream((read.append(number) or number for number in range(100_000)), streams="nats")
    next(answers)
    answers.close()
    assert len(read) < 1000


def test_a_run_takes_pushes_pauses_flushes_and_drains():
    graph = Graph("run")
    graph.to("Queue", "q").to("Batch", max_events=2).to("Queue", "r").to(sum, "total")
    with graph.start(streams="nats") as run:
        first, second = run.push(1), run.push(2)
        assert (first.result(10), second.result(10)) == (None, 3)
        run.pause()
        waiting = run.push(4)
        time.sleep(0.1)
        assert (run.is_paused, waiting.done()) == (True, False)
        with pytest.raises(NbgraphError, match="paused with events waiting"):
            run.flush()
        run.resume()
        assert run.flush() == [4]
        last = run.push(5)
    assert last.done()
    with pytest.raises(NbgraphError, match="is closed"):
        run.push(6)


def test_a_run_goes_on_with_a_step_that_was_changed():
    graph = Graph("changed")
    graph.to("Queue", "q").to("(event + 1)", "step")
    with graph.start(streams="nats") as run:
        before = run.push(1).result(10)
        graph.step("step").to("(event * 10)", "times")
        assert (before, run.push(1).result(10)) == (2, 20)


def test_a_run_lets_go_what_is_due_behind_a_queue():
    seen = []
    graph = Graph("due")
    graph.to("Queue", "q").to("Batch", max_events=100, flush_after_seconds=0.1).to(seen.append, "see")
    with graph.start(streams="nats") as run:
        run.push(1).result(10)
        deadline = time.monotonic() + 5
        while not seen and time.monotonic() < deadline:
            time.sleep(0.02)
        assert seen == [[1]]


def test_steps_that_remember_are_the_same_with_and_without_a_broker():
    graph = flow()
    assert [graph.run(1), graph.run(1, streams="nats"), graph.run(1)] == [20, 40, 60]


def test_the_live_view_of_a_graph_sees_its_steps(caplog):
    from nbgraph.widgets.live.activity import RunActivity

    graph = fork("seen", responds=True)
    leave = RunActivity.on(graph).subscribe(lambda change: None)
    with caplog.at_level(logging.WARNING):
        graph.run(3, streams="nats")
    states = RunActivity.on(graph).states()
    leave()
    assert (set(states.values()), caplog.records) == ({"done"}, [])
    assert {"plus", "q", "times", "big", "far"} <= set(states)


def test_metadata_of_an_event_passes_queues():
    graph = Graph("metadata")
    graph.to("Queue", "q").to(told, full_event=True)
    event = Event(1, key=7, id="e1", path="/a", headers={"x": "1"})
    assert graph.run(event, streams="nats") == [7, "e1", "/a", {"x": "1"}]


def told(event):
    return event.with_body([event.key, event.id, event.path, event.headers])


def test_a_graph_that_can_not_run_says_so_at_once():
    with pytest.raises(GraphError, match="has no steps"):
        Graph("empty").run(1, streams="nats")


def test_a_body_that_is_too_large_for_the_broker_is_told():
    graph = Graph("heavy")
    graph.to("Queue", "q").to(len)
    with pytest.raises(StepError, match=r'queue "heavy-\w+-q" has 33,000,005 bytes; the broker takes 32,505,856'):
        graph.run("x" * 33_000_000, streams="nats")


def test_nothing_is_left_of_a_stream_that_was_closed_early():
    async def queues():
        server = embedded_server()
        client = await nats.connect(server.url, token=server.token)
        info = await client.jetstream().account_info()
        await client.close()
        return info.streams

    answers = flow().stream(itertools.count(), streams="nats")
    next(answers)
    during = asyncio.run(queues())
    answers.close()
    deadline = time.monotonic() + 5
    while asyncio.run(queues()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (during, asyncio.run(queues())) == (2, 0)


def test_left_by_an_exception_a_run_stops_after_what_is_in_hand():
    begun, done, futures = threading.Event(), [], []

    def work(body):
        begun.set()
        time.sleep(0.05)
        done.append(body)
        return body

    def story():
        with graph.start(streams="nats") as run:
            futures.extend(run.push(number) for number in range(50))
            begun.wait(5)
            raise KeyboardInterrupt

    graph = Graph("stopped")
    graph.to(work, "work").to("Queue", "q").to(str, "text")
    with pytest.raises(KeyboardInterrupt):
        story()
    ends = [type(future.exception(5)) for future in futures[-30:]]
    assert (len(done) < 20, ends) == (True, [CancelledError] * 30)


@pytest.mark.parametrize("wait", [False, True])
def test_a_stream_left_early_closes_its_source(wait):
    ended = []

    def rows():
        try:
            yield from range(1000)
        finally:
            ended.append("source")

    async def later(body):
        await asyncio.sleep(0)
        return body

    async def broken_off():
        async with aclosing(graph.astream(rows(), streams="nats")) as answers:
            async for _ in answers:
                break

    graph = Graph("left")
    graph.to(later if wait else "(event)", "first").to("Queue", "q").to(str, "text")
    answers = graph.stream(rows(), streams="nats")
    next(answers)
    answers.close()
    asyncio.run(broken_off())
    assert ended == ["source", "source"]
