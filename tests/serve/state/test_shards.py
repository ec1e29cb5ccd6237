"""What steps behind a keyed queue remember follows the shard from worker to worker, as if there were one."""

import asyncio
import itertools
from collections import defaultdict

import pytest

from nbgraph import Event, Graph
from nbgraph.engine import loop
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.partition import split
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.queues.reply_waiters import RemoteError
from nbgraph.steps import AggregateByKey, FieldAggregator, Queue, SlidingWindows
from nbgraph.streams.nats.broker import NatsBroker


class Fleet:
    """The functions of a graph, each with some workers of its own."""

    def __init__(self, graph, connect):
        self.functions = {function.name: function for function in split(graph)}
        self.connect, self.graph = connect, graph
        self.workers = defaultdict(list)
        self.numbers = itertools.count()

    async def __aenter__(self):
        for name in self.functions:
            await self.more(name)
        return self

    async def __aexit__(self, *error):
        for workers in self.workers.values():
            for worker in workers:
                await worker.close(5)

    async def more(self, name, broker=None):
        function = self.functions[name]
        part = FunctionSpec(function.name, function.reads, function.answers, function.asks, function.confirms)
        worker = Consumer(PlanRunner(function.graph.plan()), part, broker or await self.connect(), seconds=20)
        self.workers[name].append(worker)
        await worker.open()

    async def less(self, name):
        await self.workers[name].pop(0).drain(5)

    async def ask(self, body):
        event = Event(body, id=f"{self.graph.name}-{next(self.numbers)}")
        return await self.workers[next(iter(self.functions))][0].callers.ask(event)


async def until(condition):
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that within 8 seconds")


def noting(graph, noted):
    """At the end of the graph, in a function of its own, what comes is noted by its key."""

    def note(event):
        noted[event.key].append(event.body)

    last = graph.steps[-1].name
    graph.step(last).to(Queue(f"{graph.name}-out", key="$key", shards=2)).to(
        note, "note", function="end", full_event=True
    )
    return graph


def queued(name, key="card", shards=4):
    graph = Graph(name)
    graph.to("(event)", "take").to(Queue(f"{name}-in", key=key, shards=shards)).to("(event)", "first", function="work")
    return graph


def counted(name, noted):
    graph = queued(name)
    paid = FieldAggregator("paid", "amount", ["sum", "max", "count"], SlidingWindows(["1h"], "10m"))
    graph.step("first").to(AggregateByKey([paid], key="card", time_field="time")).to(
        "MapWithState", "number", initial_state=0, fn="({**event, 'number': state}, state + 1)", group_by_key=True
    ).to("Batch", "remember", max_events=3, key="$key")
    return noting(graph, noted)


def payments(count, cards=5):
    return [{"card": f"c{n % cards}", "amount": n, "time": 600.0 * n} for n in range(count)]


def in_notebook(make, name, bodies):
    noted = defaultdict(list)
    graph = make(name, noted)
    for body in bodies:
        graph.run(body)
    return dict(noted)


def test_workers_come_and_go_and_every_key_gets_what_the_notebook_gives_it(connect, request):
    name, bodies, noted = f"many-{request.node.callspec.id}", payments(60), defaultdict(list)

    async def story():
        async with Fleet(counted(name, noted), connect) as fleet:
            for number, body in enumerate(bodies):
                if number in (10, 20):
                    await fleet.more("work")
                if number in (30, 45):
                    await fleet.less("work")
                await fleet.ask(body)
            await until(lambda: sum(map(len, noted.values())) >= 20)

    loop.complete(story())
    assert dict(noted) == in_notebook(counted, name, bodies)


def unsteady(broker):
    """Its first reply, and the first message into a queue that ends in "out", get lost on the way."""
    left = {"reply", "publish"}

    def losing(name, method, is_meant):
        async def lost_once(*arguments):
            if name in left and is_meant(*arguments):
                left.discard(name)
                raise ConnectionError("lost")
            return await method(*arguments)

        return lost_once

    broker.reply = losing("reply", broker.reply, lambda *_: True)
    broker.publish = losing("publish", broker.publish, lambda queue, _: queue.name.endswith("out"))
    return broker


def test_a_message_that_comes_again_is_not_taken_in_twice(connect, request):
    name, noted, bodies = f"again-{request.node.callspec.id}", defaultdict(list), payments(12, cards=1)

    async def story():
        async with Fleet(counted(name, noted), connect) as fleet:
            await fleet.less("work")
            await fleet.more("work", unsteady(await connect()))
            for body in bodies:
                await fleet.ask(body)
            await until(lambda: len(noted["c0"]) >= 4)

    loop.complete(story())
    assert dict(noted) == in_notebook(counted, name, bodies)


def test_without_a_key_all_events_share_one_memory_over_the_workers(connect, request):
    name, noted = f"unkeyed-{request.node.callspec.id}", defaultdict(list)
    graph = queued(name, key=None, shards=1)
    graph.step("first").to("Batch", "remember", max_events=3)

    async def story():
        async with Fleet(noting(graph, noted), connect) as fleet:
            await fleet.more("work")
            for number in range(10):
                await fleet.ask(number)
            await until(lambda: len(noted[None]) >= 3)

    loop.complete(story())
    assert noted[None] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_branches_come_together_from_two_queues(connect, request):
    name, noted = f"joined-{request.node.callspec.id}", defaultdict(list)
    graph = Graph(name)
    start = graph.to("(event)", "take")
    for branch, code in (("left", "(event * 2)"), ("right", "(event * 10)")):
        start.to(Queue(f"{name}-{branch}")).to(code, branch, function=branch)
    graph.add_step("Merge", "remember", after=["left", "right"], function="work")

    async def story():
        async with Fleet(noting(graph, noted), connect) as fleet:
            await fleet.more("work")
            for number in range(12):
                await fleet.ask(number)
            await until(lambda: len(noted[None]) >= 12)

    loop.complete(story())
    assert sorted(map(sorted, noted[None])) == [[2 * number, 10 * number] for number in range(12)]


def test_what_is_too_much_to_remember_is_a_dead_letter_that_says_so(server):
    noted, large = defaultdict(list), "x" * 14_000_000
    graph = queued("heavy", shards=1)
    graph.step("first").to("Batch", "remember", max_events=5, key="$key").to("([len(each['text']) for each in event])")

    async def story():
        async with Fleet(noting(graph, noted), lambda: NatsBroker.connect(server.url, token=server.token)) as fleet:
            for text in ("a", large, large):
                await fleet.ask({"card": "a", "text": text})
            with pytest.raises(RemoteError, match=r'takes 32,505,856 in one piece.+"remember" 28,000,'):
                await fleet.ask({"card": "a", "text": large})
            for text in ("bc", "d"):
                await fleet.ask({"card": "a", "text": text})
            await until(lambda: noted["a"])

    loop.complete(story())
    assert dict(noted) == {"a": [[1, 14_000_000, 14_000_000, 2, 1]]}


def test_a_batch_goes_in_time_although_the_worker_that_had_it_is_gone(connect, request):
    name, noted = f"timed-{request.node.callspec.id}", defaultdict(list)
    graph = queued(name)
    graph.step("first").to("Batch", "remember", max_events=9, flush_after_seconds=0.3, key="$key")

    async def story():
        async with Fleet(noting(graph, noted), connect) as fleet:
            await fleet.ask({"card": "a", "amount": 1})
            await until(lambda: "a" in noted)
            await fleet.ask({"card": "a", "amount": 2})
            await fleet.less("work")
            await fleet.more("work")
            await until(lambda: len(noted["a"]) > 1)

    loop.complete(story())
    assert dict(noted) == {"a": [[{"card": "a", "amount": 1}], [{"card": "a", "amount": 2}]]}
