"""A deployment into whose queue somebody else writes: it goes on, and every damaged message is a failure to look at."""

import asyncio
import random
import time

import pytest

from nbgraph import Graph
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.codec.dead_letter import letter_of
from nbgraph.streams.codec.wire import pack
from nbgraph.streams.nats.broker import LETTERS, NatsBroker

HEADERS = [
    "{no", "3", '["a",[1]]', '["a",{"Nbgraph-Credit":"zz"}]', '["a",{"Nbgraph-Deadline":"soon"}]',
    '["a",{"Nbgraph-Hops":"many"}]', '["a",{"Nbgraph-Reply-To":"a b\\r\\nPUB x"}]', '["a",{"Event-Time":"soon"}]',
]  # fmt: skip


def double(body):
    return {"twice": body["n"] * 2}


@pytest.fixture(scope="module")
def deployment():
    graph = Graph("foreign")
    graph.to("(event)", "take").to("Queue", "taken", key="k", shards=1).to(double, function="doubling").respond()
    with graph.deploy("process", progress=False) as running:
        yield running


def connected(deployment, work):
    """What comes of work with a connection to the deployment's broker."""

    async def done():
        server = deployment._hosted._server
        broker = await NatsBroker.connect(server.url, token=server.token)
        try:
            return await asyncio.wait_for(work(broker), 60)
        finally:
            await broker.close()

    return asyncio.run(done())


def failing(deployment, count):
    """All failures, when so many are there."""
    deadline = time.monotonic() + 30
    while len(found := deployment.failures()) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_damaged_messages_are_failures_and_callers_are_answered(deployment):
    chance = random.Random(7)
    bodies = [b"\xc1", b"\x91" * 200_000, *(chance.randbytes(chance.randrange(1, 40)) for _ in range(20))]

    async def write(broker):
        for told in HEADERS:
            await broker._jetstream.publish("taken.0", pack({"n": 1}), headers={"Nbgraph": told})
        for body in bodies:
            await broker._jetstream.publish("taken.0", body)

    async def write_letters(broker):
        await broker._jetstream.publish(f"{LETTERS}.letter", b"\xc1")
        gone = letter_of(Message("gone", pack(1)), {"time": "never"}, 5000)
        await broker._jetstream.publish(f"{LETTERS}.letter", gone)

    connected(deployment, write)
    answer = deployment.invoke({"k": 1, "n": 21})
    failing(deployment, 1)  # there is no stream of letters before the first one
    connected(deployment, write_letters)
    found = failing(deployment, len(HEADERS) + len(bodies) + 2)
    damaged = [failure for failure in found if failure.event.body in bodies]
    assert (answer, len(found)) == ({"twice": 42}, len(HEADERS) + len(bodies) + 2)
    assert len(damaged) >= 2  # some random bytes are a value, which the step then refuses


def test_a_damaged_message_is_mended_and_done(deployment):
    async def write(broker):
        await broker._jetstream.publish("taken.0", b"\xc1", headers={"Nbgraph": "{no", "Nats-Msg-Id": "mended"})

    async def drained(broker):
        await broker.drained(QueueSpec("taken", 1, is_keyed=True))

    connected(deployment, write)
    connected(deployment, drained)
    [failure] = [failure for failure in deployment.failures() if failure.get("message") == "mended"]
    deployment.resubmit(failure, {"k": 1, "n": 1})
    connected(deployment, drained)
    assert "mended" not in [one.get("message") for one in deployment.failures()]
