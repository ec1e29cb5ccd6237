"""Two functions and a queue between them, in one process: the answers are those of the whole graph."""

import asyncio
import contextlib
import secrets

import pytest

from nbgraph import Event, Graph
from nbgraph.engine import loop
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.partition import split
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.consumer import IN_FLIGHT, Consumer
from nbgraph.serve.queues.reply_waiters import RemoteError
from nbgraph.serve.telemetry.step_metrics import StepMetrics
from nbgraph.streams.base import Message
from nbgraph.streams.codec.wire import pack, unpack
from nbgraph.streams.memory.broker import MemoryBroker
from nbgraph.streams.nats.broker import NatsBroker


async def answers(graph, bodies, connect, seconds=10.0):
    """What every body comes to when each function of the graph has a pipeline of its own."""
    pipelines = []
    for function in split(graph):
        part = FunctionSpec(function.name, function.reads, function.answers, function.asks, function.confirms)
        pipelines.append(Consumer(PlanRunner(function.graph.plan()), part, await connect(), seconds=seconds))
        await pipelines[-1].open()
    found = []
    try:
        for number, body in enumerate(bodies):
            try:
                found.append(await pipelines[0].callers.ask(Event(body, id=f"{graph.name}-{number}")))
            except RemoteError as error:
                found.append(f"{error.step}: {error}")
    finally:
        for pipeline in pipelines:
            await pipeline.close(5)
    return found


def whole(graph, bodies):
    return [graph.run(body) for body in bodies]


def flow(name):
    graph = Graph(name)
    graph.to("(event + 1)", "plus").to("Queue", f"{name}-q").to("(event * 10)", "times", function="worker")
    return graph


def test_the_answer_comes_from_the_far_side(connect):
    graph = flow("far")
    assert loop.complete(answers(graph, [1, 2, 3], connect)) == whole(graph, [1, 2, 3]) == [20, 30, 40]


def test_dropped_events_answer_at_once(connect):
    graph = flow("dropped")
    graph.step("times").to("Filter", "big", fn="event > 25")
    assert loop.complete(answers(graph, [1, 2], connect, seconds=60)) == whole(graph, [1, 2]) == [None, 30]


def test_an_error_on_the_far_side_is_the_callers_at_once_and_a_dead_letter(connect):
    graph = flow("failing")
    graph.step("times").to("(1 / (event - 30))", "inverse").respond()
    found = loop.complete(answers(graph, [1, 2], connect, seconds=60))
    assert found == [-0.1, 'inverse: Step "inverse" failed: ZeroDivisionError: division by zero']


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_a_step_raises_that_is_no_exception_is_a_dead_letter_at_once(kind, connect):
    calls = []

    def leave(body):
        calls.append(body)
        raise kind(3)

    async def leave_later(body):
        leave(body)

    for step in (leave, leave_later):
        graph = flow(f"{kind.__name__}-{step.__name__}")
        graph.step("times").to(step, "leave").respond()
        found = loop.complete(answers(graph, [1], connect, seconds=60))
        assert found == [f'leave: Step "leave" failed: {kind.__name__}: 3']
    assert calls == [20, 20]


def test_what_can_not_travel_fails_once_and_at_once(connect):
    graph = flow("odd")
    graph.step("times").to(lambda body: object(), "thing").to("(1 / event)", "inverse").respond()
    assert loop.complete(answers(graph, [1], connect, seconds=60)) == [
        "inverse: Step \"inverse\" failed: TypeError: unsupported operand type(s) for /: 'int' and 'object'"
    ]
    graph.remove("inverse")
    graph.step("thing").respond()
    graph.name = "odd-answer"
    [told] = loop.complete(answers(graph, [1], connect, seconds=60))
    assert told.startswith('thing: Step "thing" failed: AnswerError: There is a builtins.object in it')


def test_branches_to_two_functions_and_back_to_a_third(connect):
    graph = Graph("branches")
    first = graph.to("(event + 1)", "plus")
    queue = first.to("Queue", "split", key="$key", shards=4)
    queue.to("(event * 2)", "small", function="left", when="event < 5").to("Queue", "small-done")
    queue.to("(event * 100)", "large", function="right", otherwise=True).to("Queue", "large-done")
    graph.step("small-done").to("('answer', event)", "reply", function="end").respond()
    graph.connect("large-done", "reply")
    assert loop.complete(answers(graph, [1, 2, 7], connect)) == whole(graph, [1, 2, 7])


def test_a_hand_over_without_a_queue_gets_one(connect):
    graph = Graph("hop")
    graph.to(str.strip, "strip").to(str.upper, "upper", function="loud").to(len, "length").respond()
    assert loop.complete(answers(graph, [" ab "], connect)) == [2]
    assert [function.reads for function in split(graph)] == [(), ("strip-upper",)]


def test_several_ends_confirm_with_the_id(connect):
    graph = flow("ends")
    graph.step("plus").to(str, "log")
    assert loop.complete(answers(graph, [1], connect)) == [{"id": "ends-0"}]


def test_late_callers_hear_of_the_deadline():
    graph = Graph("slow")
    graph.to("Queue", "slow-q").to(asyncio.sleep, "sleep", function="worker").respond()
    broker = MemoryBroker()

    async def shared():
        return broker

    assert loop.complete(answers(graph, [2], shared, seconds=0.2)) == ["None: No answer within 0.2 seconds."]


def test_dead_letters_have_the_frames_of_the_function_that_failed():
    graph = flow("letters")
    graph.step("times").to("(1 / (event - 20))", "inverse").respond()
    broker = MemoryBroker()

    async def story():
        first, second = split(graph)
        tally = StepMetrics([step.name for step in second.graph.steps])
        parts = [FunctionSpec(each.name, each.reads, each.answers, each.asks) for each in (first, second)]
        plans = [first.graph.plan(), tally.watching(second.graph.plan())]
        pipelines = [Consumer(PlanRunner(plan), part, broker) for plan, part in zip(plans, parts, strict=True)]
        for pipeline in pipelines:
            await pipeline.open()
        with pytest.raises(RemoteError):
            await pipelines[0].callers.ask(Event(1))
        for pipeline in pipelines:
            await pipeline.close(5)
        return await broker.buried()

    (letter,) = loop.complete(story())
    assert [(frame["step"], frame["input"], frame["output"], frame["error"]) for frame in letter["frames"]] == [
        ("times", 2, 20, None),
        ("inverse", 20, None, "ZeroDivisionError: division by zero"),
    ]
    assert (unpack(letter["input"]), "ZeroDivisionError" in letter["trace"]) == (20, True)


def test_who_drains_gives_back_what_was_not_begun(server):
    held, queue = asyncio.Event(), f"drained-{secrets.token_hex(4)}"  # a second try finds nothing of the first

    def connect():
        return NatsBroker.connect(server.url, token=server.token)

    async def hold(body):
        await held.wait()
        return body

    graph = Graph("drained")
    graph.to("(event)", "take").to("Queue", queue).to(hold, "hold", function="worker").respond()
    worker = split(graph)[1]

    async def story():
        broker = await connect()
        pipeline = Consumer(
            PlanRunner(worker.graph.plan()), FunctionSpec(worker.name, worker.reads, worker.answers), await connect()
        )
        await pipeline.open()
        [spec] = pipeline.specs.values()
        for number in range(IN_FLIGHT + 20):
            await broker.publish(spec, Message(f"drained-{number}", pack(number)))
        await until(lambda: pipeline.in_flight == IN_FLIGHT)
        draining = asyncio.create_task(pipeline.drain(5))
        try:
            return await asyncio.wait_for(taken(broker, spec, 20), spec.lease / 2)
        finally:
            held.set()
            await draining
            await pipeline.close()

    async def until(holds):
        while not holds():
            await asyncio.sleep(0.01)

    async def taken(broker, spec, count):
        found = set()
        async with contextlib.aclosing(broker.read(spec)) as deliveries:
            async for delivery in deliveries:
                found.add(unpack(delivery.message.body))
                await delivery.ack()
                if len(found) == count:
                    break
        return found

    assert loop.submit(asyncio.wait_for(story(), 20)).result() == set(range(IN_FLIGHT, IN_FLIGHT + 20))
