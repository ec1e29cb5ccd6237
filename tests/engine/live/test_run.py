"""Runs: streams, concurrency, long-lived runs, many at once, one inside another."""

import asyncio
import contextvars
import os
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from nbgraph import Event, Graph, StepError
from nbgraph.engine.interpret.observer import Observer
from nbgraph.errors import BodyError, NbgraphError
from nbgraph.steps import Batch, Concurrent, Filter, FlatMap

LATEST = 20  # seconds that a test may take before it counts as hanging
pytestmark = pytest.mark.timeout(LATEST)


async def wait(body):
    await asyncio.sleep(0.02)
    return body + 1


def sleep(body):
    time.sleep(0.02)
    return body + 1


async def uneven(body):
    await asyncio.sleep(0.03 if body % 2 == 0 else 0.001)
    return body


def graph_of(handler, **options):
    graph = Graph("g")
    graph.to(handler, "x", **options)
    return graph


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


@pytest.mark.parametrize("handler", [wait, sleep])
def test_concurrent_steps_keep_the_order_and_take_the_time_of_few(handler):
    graph = graph_of(handler, concurrency=32)
    assert list(graph.stream(range(64))) == list(range(1, 65))
    assert seconds(lambda: list(graph.stream(range(64)))) < 0.8  # one after the other: 1.3


def test_without_order_the_quick_come_first():
    assert list(graph_of(uneven, concurrency=4, ordered=False).stream([0, 1, 2, 3])) in ([1, 3, 0, 2], [3, 1, 0, 2])
    assert list(graph_of(uneven, concurrency=4).stream([0, 1, 2, 3])) == [0, 1, 2, 3]


def test_no_more_calls_than_allowed_are_under_way():
    under_way, most = [], []

    async def count(body):
        under_way.append(body)
        most.append(len(under_way))
        await asyncio.sleep(0.001)
        under_way.remove(body)

    graph = Graph("g")
    graph.to(FlatMap("range(event)")).to(count, concurrency=3)
    assert (len(list(graph.stream([50, 50]))), max(most)) == (100, 3)


def test_a_call_that_waited_for_its_turn_finds_the_context_of_its_own_event():
    whose = contextvars.ContextVar("whose")

    def note(body):
        whose.set(body)
        return body

    async def read(body):
        await asyncio.sleep(0.001)
        return whose.get()

    graph = graph_of(note)
    graph.step("x").to(read, concurrency=2)
    assert list(graph.stream(range(12))) == list(range(12))


def test_concurrency_stays_when_somebody_watches_and_in_cycles():
    watched = graph_of(wait, concurrency=32)
    watched.observers.append(Observer())
    assert seconds(lambda: list(watched.stream(range(64)))) < 0.8
    cyclic = Graph("g")
    cyclic.to(wait, "x", concurrency=32).to("(event)", "back", when="event < 102").cycle_to("x")
    cyclic.step("x").to("(event)", "out", otherwise=True)
    assert list(cyclic.stream(range(96, 104))) == [102, 102, 102, 102, 102, 102, 103, 104]
    assert seconds(lambda: list(cyclic.stream([100] * 32))) < 0.8


def test_a_handler_says_itself_how_many_it_takes():
    graph = graph_of(Concurrent(wait, max_in_flight=32))
    assert seconds(lambda: list(graph.stream(range(64)))) < 0.8


def test_the_first_answer_does_not_wait_for_the_next_event():
    gate = threading.Event()

    def source():
        yield 1
        gate.wait(10)
        yield 2

    answers = graph_of(wait, concurrency=4).stream(source())
    assert next(answers) == 2
    gate.set()
    assert list(answers) == [3]


def test_a_source_that_fails_fails_after_what_came_before():
    def source():
        yield 1
        yield 2
        raise OSError("no more")

    for graph in (graph_of(wait, concurrency=4), graph_of("(event + 1)"), graph_of(wait)):
        answers = graph.stream(source())
        assert [next(answers), next(answers)] == [2, 3]
        with pytest.raises(OSError, match="no more"):
            next(answers)


@pytest.mark.parametrize("options", [{}, {"concurrency": 4}])
def test_a_body_that_does_not_parse_harms_no_other_event(options):
    bad = Event("{", content_type="application/json")
    for handler in (wait, lambda body: body + 1):
        answers = graph_of(handler, **options).stream([1, bad, 2])
        assert next(answers) == 2
        with pytest.raises(BodyError):
            next(answers)
        assert list(answers) == [3]


def test_sources_of_every_kind():
    import pandas
    import polars

    rows = [{"a": 1}, {"a": 2}]
    graph = graph_of("(event['a'])")
    sources = [
        rows,
        iter(rows),
        (row for row in rows),
        [Event(row) for row in rows],
        pandas.DataFrame(rows),
        polars.DataFrame(rows),
    ]
    assert [list(graph.stream(source)) for source in sources] == [[1, 2]] * 6
    with pytest.raises(NbgraphError, match="For one event use"):
        graph.stream({"a": 1})


def test_astream_takes_both_kinds_of_sources():
    async def source():
        for number in range(64):
            yield number

    async def collected(graph, items):
        return [answer async for answer in graph.astream(items)]

    for graph in (graph_of(wait, concurrency=32), graph_of("(event + 1)")):
        for items in (range(64), source()):
            assert asyncio.run(collected(graph, items)) == list(range(1, 65))
    assert seconds(lambda: asyncio.run(collected(graph_of(wait, concurrency=32), source()))) < 0.8


def test_push_pause_resume_flush_and_draining():
    graph = Graph("g")
    graph.to("(event + 1)", "more").to(Batch(3))
    with graph.start() as run:
        first = [run.push(number) for number in range(3)]
        assert first[2].result(5) == [1, 2, 3]
        run.pause()
        late = run.push(7)
        time.sleep(0.05)
        assert (run.is_paused, late.done()) == (True, False)
        with pytest.raises(NbgraphError, match="paused with events waiting"):
            run.flush()
        run.resume()
        assert run.flush() == [[8]]
    with pytest.raises(NbgraphError, match="closed"):
        run.push(1)


def test_leaving_the_block_drains_and_an_error_of_what_was_held_rises_there():
    seen = []
    graph = graph_of(wait, concurrency=4)
    graph.step("x").to(seen.append, "seen")
    with graph.start() as run:
        for number in range(10):
            run.push(number)
    assert seen == list(range(1, 11))
    failing = Graph("g")
    failing.to(Batch(5)).to("(1 / 0)", "d")
    before = threading.active_count()
    with pytest.raises(StepError), failing.start() as run:
        run.push(1)
    assert threading.active_count() == before


def test_a_runs_futures_have_answers_or_errors_and_it_outlives_a_broken_graph():
    graph = graph_of("(10 / event)")
    with graph.start() as run:
        bad, good = run.push(0), run.push(5)
        assert isinstance(bad.exception(5), StepError)
        assert good.result(5) == 2.0
        graph.to("nothing_of_that_name", "broken")
        assert "nothing_of_that_name" in str(run.push(1).exception(5))
        graph.remove("broken")
        assert run.push(1).result(5) == 10.0


def test_cancelling_arun_cancels_its_steps():
    ended = []

    async def long(body):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append(body)
            raise

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(graph_of(long).arun(1), 0.1)
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert ended == [1]


def test_a_thousand_runs_at_once():
    async def main(graph):
        return await asyncio.gather(*(graph.arun(number) for number in range(1000)))

    for graph in (graph_of(wait), graph_of("(event + 1)")):
        assert asyncio.run(main(graph)) == list(range(1, 1001))
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(graph_of(wait).run, range(1000))) == list(range(1, 1001))


def test_a_run_inside_a_running_loop():
    async def main():
        graph = graph_of(wait)
        return graph.run(1), list(graph.stream([1, 2])), await graph.arun(5)

    assert asyncio.run(main()) == (2, [2, 3], 6)


INNER = graph_of(wait)


def run_in_threads(body):
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(INNER.run, [body, body]))


def run_pushed(body):
    with INNER.start() as run:
        return run.push(body).result()


def fetch(body):
    return asyncio.run(INNER.arun(body))


@pytest.mark.parametrize(
    ("handler", "expected"),
    [(INNER.run, 2), (lambda body: sum(INNER.stream([body, body])), 4), (run_in_threads, 4), (run_pushed, 2),
     (fetch, 2), (lambda body: fetch(body), 2), (lambda body: asyncio.run(wait(body)), 2)],
)  # fmt: skip
def test_a_run_inside_a_step_never_waits_for_itself(handler, expected):
    graph = Graph("g")
    graph.to(wait, "before").to(handler, "inside")
    plain = graph_of(handler)
    assert [graph.run(0), plain.run(1), list(graph_of(handler, concurrency=2).stream([1, 1]))] == [
        expected, expected, [expected] * 2,
    ]  # fmt: skip


def test_many_runs_inside_steps_of_many_runs():
    plain = graph_of(lambda body: body + 1)
    outer = graph_of(lambda body: asyncio.run(plain.arun(body)))

    async def main():
        return await asyncio.gather(*(outer.arun(number) for number in range(100)))

    assert asyncio.run(main()) == list(range(1, 101))


def test_streams_of_streams_and_streams_that_nobody_finishes():
    graph = graph_of(wait)
    assert list(graph.stream(graph.stream(range(5)))) == [2, 3, 4, 5, 6]
    left = [graph_of(Filter("True")).stream(range(10)) for _ in range(3)]
    left += [graph_of(wait, concurrency=64).stream(range(1000)) for _ in range(12)]
    assert [next(stream) for stream in left] == [0] * 3 + [1] * 12
    assert asyncio.run(graph_of("(event + 1)").arun(1)) == 2
    for stream in left:
        stream.close()


def test_a_forked_process_runs_graphs():
    assert INNER.run(1) == 2
    child = os.fork()
    if child == 0:
        os._exit(INNER.run(41))
    deadline = time.monotonic() + 10
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert os.waitstatus_to_exitcode(found[1]) == 42


def test_a_full_channel_slows_the_source():
    read = []

    def source():
        for number in range(100_000):
            read.append(number)
            yield number

    answers = graph_of(wait, concurrency=4).stream(source())
    next(answers)
    time.sleep(0.5)
    assert len(read) < 500
    answers.close()


def test_a_step_that_may_wait_for_a_retry_keeps_off_the_loop():
    threads = []

    def shaky(body):
        threads.append(threading.current_thread().name)
        if len(threads) < 2:
            raise OSError("not yet")
        return body

    graph = Graph("g")
    graph.to(wait, "x").to(shaky, retries=5, retry_on=OSError)
    assert (graph.run(1), len(threads), "nbgraph-loop" in threads) == (2, 2, False)


def told(future):
    try:
        return future.result(5)
    except CancelledError:
        return "cancelled"


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("queue", [False, True])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_left_by_an_exception_a_run_stops_after_what_is_in_hand(kind, queue, is_async, options):
    begun, go, done = threading.Event(), threading.Event(), []

    def work(body):
        begun.set()
        go.wait(5)
        done.append(body)
        return body

    async def work_later(body):
        return await asyncio.to_thread(work, body)

    graph = Graph("g")
    first = graph.to(work_later if is_async else work, "work", **options)
    if queue:
        first.to("Queue", "q", max_size=1).to(str, "text")
    futures = []

    def story(run):
        with run:
            futures.extend(run.push(number) for number in range(50))
            begun.wait(5)
            threading.Timer(0.05, go.set).start()
            raise kind

    run = graph.start()
    with pytest.raises(kind):
        story(run)
    found = [told(future) for future in futures]
    assert ("cancelled" in found, found[-1], len(done) < 15, found.index("cancelled") <= len(done)) == (
        True, "cancelled", True, True,
    )  # fmt: skip
    with pytest.raises(NbgraphError, match="is closed"):
        run.push(1)
    run.close()


def test_stopped_while_it_is_held_or_paused():
    graph = Graph("g")
    graph.to(str, "a").to(str, "b")
    run = graph.start()
    run.hold("b")
    held = run.push(1)
    while run.waiting() != {"b": 1}:
        time.sleep(0.001)
    run.pause()
    paused = run.push(2)
    run.stop()
    assert (told(held), told(paused), run.waiting()) == ("cancelled", "cancelled", {})


def test_several_answers_of_a_run_are_refused_by_name():
    graph = Graph("words")
    graph.to(str.split).to("Flatten")
    with graph.start() as run, pytest.raises(NbgraphError, match=r"graph\.answers\(body\) gives those of all ends"):
        run.answers("a b")
