"""A busy worker keeps what it has, also what waits in its hand; a worker that stops gives it back."""

import asyncio
import time

import pytest

from nbgraph.engine.loop import LoopThread
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import NatsServer


@pytest.fixture(scope="module")
def server():
    with NatsServer() as running:
        yield running


async def filled(server, spec):
    broker = await NatsBroker.connect(server.url, token=server.token)
    await broker.declare(spec)
    for number in range(3):
        await broker.publish(spec, Message(f"m{number}", b"x"))
    return broker


def test_a_step_that_keeps_the_loop_busy_does_not_lose_its_lease(server):
    spec = QueueSpec("busy", lease=0.4)

    async def story():
        broker = await filled(server, spec)
        deliveries, attempts = broker.read(spec, keeps_leases=True), []
        for _ in range(3):
            delivery = await anext(deliveries)
            time.sleep(0.6)  # what a synchronous step does
            attempts.append(delivery.attempt)
            await delivery.ack()
        await asyncio.sleep(0.6)
        left = await broker.backlog(spec)
        await deliveries.aclose()
        await broker.close()
        return attempts, left

    assert asyncio.run(story()) == ([1, 1, 1], 0)


def test_what_a_reader_has_not_taken_up_is_for_others_at_once(server):
    spec = QueueSpec("given", lease=60)

    async def story():
        broker = await filled(server, spec)
        first = broker.read(spec, keeps_leases=True)
        taken = await anext(first)
        await asyncio.sleep(0.1)
        await first.aclose()
        second = broker.read(spec)
        others = [await asyncio.wait_for(anext(second), 5) for _ in range(2)]
        await second.aclose()
        await broker.close()
        return taken.message.id, sorted(delivery.message.id for delivery in others)

    assert asyncio.run(story()) == ("m0", ["m1", "m2"])


def test_what_is_still_on_its_way_to_a_reader_that_stops_is_for_others_at_once(server):
    spec = QueueSpec("on-its-way", lease=60)
    elsewhere = LoopThread("elsewhere")

    async def publish():
        broker = await NatsBroker.connect(server.url, token=server.token)
        await broker.publish(spec, Message("late", b"x"))
        await broker.close()

    async def story():
        broker = await NatsBroker.connect(server.url, token=server.token)
        await broker.declare(spec)
        first = broker.read(spec, keeps_leases=True)
        waiting = asyncio.ensure_future(anext(first))
        await asyncio.sleep(0.2)
        elsewhere.submit(publish()).result(10)  # this loop stands, so the message waits in the socket
        waiting.cancel()
        await asyncio.wait([waiting])
        second = broker.read(spec)
        found = await asyncio.wait_for(anext(second), 5)
        await found.ack()
        await second.aclose()
        await broker.close()
        return found.message.id

    try:
        assert asyncio.run(story()) == "late"
    finally:
        elsewhere.stop()
