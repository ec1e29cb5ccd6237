"""A shard in the hands of two workers, each of which may be late, stopped or dead: every event counts once."""

import asyncio
import time
from dataclasses import dataclass

from nbgraph import Event, Graph
from nbgraph.engine.compile.plan_copy import copy_of
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.outcome import DONE, QueueOutcome
from nbgraph.serve.state.shard import Shard
from nbgraph.steps import Batch
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.codec.wire import pack, pack_answer, unpack
from nbgraph.streams.event_context import EventContext, current
from nbgraph.streams.memory.broker import MemoryBroker

OUT = QueueSpec("out", is_keyed=True)


@dataclass
class Delivered:
    """A message in the hand of a worker."""

    message: Message
    turn: int
    attempt: int = 1


class Worker:
    def __init__(self, graph, broker):
        self.broker = broker
        plan = copy_of(graph.plan(), time.monotonic)
        steps = [name for name, step in plan.steps.items() if step.call.remembers]
        self.shard = Shard(PlanRunner(plan), plan, steps, broker, "shard", {"out": OUT}, time.monotonic)
        self.runs = 0

    async def take(self, number, turn, meanwhile=None):
        message = Message(f"m{number}", pack(number), key="k")

        async def run(plan, outbox):
            self.runs += 1
            current.set(EventContext(self.broker, pack, message.id, message.id, outbox=outbox))
            answers = await plan.aresume("in", Event(number, key="k"))
            if meanwhile is not None and self.runs == 1:
                await meanwhile()
            return QueueOutcome(DONE, pack_answer(answers.all()))

        async def refuse(error):
            raise error

        outcome = await self.shard.process("in", Delivered(message, turn), run, refuse)
        return None if outcome is None else unpack(outcome.reply)


def summing():
    graph = Graph("summing")
    graph.to("QueueReader", "in", queue="in", key="$key").to(
        "MapWithState", "total", initial_state=0, fn="(event + state, event + state)"
    )
    return graph


def test_a_late_worker_does_not_take_in_what_others_have_done():
    async def story():
        broker = MemoryBroker()
        late, other = Worker(summing(), broker), Worker(summing(), broker)
        first = await late.take(1, turn=0)
        rest = [await other.take(2, turn=2), await other.take(3, turn=3)]
        return first, rest, await late.take(2, turn=1), await late.take(4, turn=4)

    assert asyncio.run(story()) == ([1], [[3], [6]], None, [10])


def test_a_worker_that_was_stopped_in_the_middle_answers_what_the_other_made_of_it():
    async def story():
        broker = MemoryBroker()
        stopped, other = Worker(summing(), broker), Worker(summing(), broker)

        async def meanwhile():
            await other.take(1, turn=1)

        return await stopped.take(1, turn=0, meanwhile=meanwhile), await other.take(2, turn=2), stopped.runs

    assert asyncio.run(story()) == ([1], [3], 1)


def test_a_count_of_deliveries_that_has_begun_anew_stops_nobody():
    async def story():
        broker = MemoryBroker()
        await Worker(summing(), broker).take(1, turn=1000)
        worker = Worker(summing(), broker)
        return await worker.take(2, turn=0), await worker.take(2, turn=1), await worker.take(3, turn=2)

    assert asyncio.run(story()) == (None, [3], [6])


class Dying(MemoryBroker):
    """Takes no more messages, as if the worker had died before it could send one."""

    is_dying = False

    async def publish(self, queue, message):
        if self.is_dying:
            raise ConnectionError("dead")
        await super().publish(queue, message)


async def sent(broker):
    deliveries, found = broker.read(OUT), []
    while await broker.backlog(OUT):
        delivery = await anext(deliveries)
        found.append(unpack(delivery.message.body))
        await delivery.ack()
    return found


def batching(**options):
    graph = Graph("batching")
    graph.to("QueueReader", "in", queue="in", key="$key").to(Batch(**options), "batch").to(
        "QueueWriter", "out", queue="out", key="$key"
    )
    return graph


def test_what_a_dead_worker_has_not_sent_is_sent_by_the_next():
    async def story():
        broker = Dying()
        await broker.declare(OUT)
        dead, next_one = Worker(batching(max_events=2), broker), Worker(batching(max_events=2), broker)
        await dead.take(1, turn=0)
        broker.is_dying = True
        try:
            await dead.take(2, turn=1)
        except ConnectionError:
            broker.is_dying = False
        for number, turn in ((2, 2), (3, 3), (4, 4), (4, 5)):
            await next_one.take(number, turn)
        return await sent(broker), next_one.runs

    assert asyncio.run(story()) == ([[1, 2], [3, 4]], 2)


def test_what_a_timer_let_go_is_sent_once_though_its_worker_died():
    async def story():
        broker = Dying()
        await broker.declare(OUT)
        workers = [Worker(batching(flush_after_seconds=0.05), broker) for _ in range(3)]
        await workers[0].take(1, turn=0)
        await asyncio.sleep(0.06)
        broker.is_dying = True
        try:
            await workers[0].shard.release(None)
        except ConnectionError:
            broker.is_dying = False
        for worker in workers:
            await worker.shard.release(None)
        await workers[1].take(2, turn=1)
        return await sent(broker)

    assert asyncio.run(story()) == [[1]]
