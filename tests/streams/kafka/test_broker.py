"""Kafka: what its readers leave behind when they die, and how a graph's queues lead over it."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nbgraph import Graph, NbgraphError
from nbgraph.streams.base import Message, QueueSpec
from tests.streams.kafka_cluster import mock_cluster

kafka = pytest.importorskip("nbgraph.streams.kafka.broker")
kafka_shard = pytest.importorskip("nbgraph.streams.kafka.shard")
SPEC = QueueSpec("poison")
QUICK = {"session.timeout.ms": 1400, "heartbeat.interval.ms": 100}
DIES = f"""
import asyncio, os, sys
from nbgraph.streams.base import QueueSpec
from nbgraph.streams.kafka.broker import KafkaBroker

async def story():
    broker = await KafkaBroker.connect(sys.argv[1], makes_topics=False, spread=1, consumer={QUICK})
    spec = QueueSpec("poison")
    await broker.declare(spec)
    async for delivery in broker.read(spec, keeps_leases=True):
        if delivery.message.id == "good":
            await delivery.ack()
        else:
            os._exit(delivery.attempt)  # as a step would that ends its process

asyncio.run(story())
"""


@pytest.fixture(scope="module")
def servers():
    with mock_cluster() as address:
        yield address


def connect(servers):
    return kafka.KafkaBroker.connect(servers, makes_topics=False, spread=1, consumer=QUICK)


def test_a_message_that_ends_its_readers_is_counted_and_what_was_done_behind_it_stays_done(servers):
    async def story():
        broker = await connect(servers)
        await broker.declare(SPEC)
        await broker.publish(SPEC, Message("bad", b"x"))
        dead = [await died(), await died()]
        await broker.publish(SPEC, Message("good", b"x"))
        deliveries = broker.read(SPEC)
        delivery = await asyncio.wait_for(anext(deliveries), 20)
        await deliveries.aclose()
        await broker.close()
        return dead, delivery.message.id, delivery.attempt

    async def died():
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES, servers)
        return await asyncio.wait_for(child.wait(), 20)

    assert asyncio.run(story()) == ([1, 2], "bad", 3)


def test_what_is_kept_beside_an_offset_is_shorter_than_kafka_takes():
    """A thousand messages, all of them given back again and again."""
    shard = kafka_shard.PartitionShard(0, kafka_shard.OffsetProgress(10**12), nothing, lambda: None)
    longest = 0

    async def story():
        nonlocal longest
        for number in range(1000):
            shard.fetched(record(10**12 + number))
        for _ in range(100):
            taken = shard.take(60, is_keyed=False)
            for place, delivery in enumerate(taken):
                if place % 9 == 0:
                    await delivery.ack()
                else:
                    await delivery.nack(9)
            longest = max(longest, len(shard.progress().text()))

    asyncio.run(story())
    tries = dict.fromkeys(range(kafka_shard.HORIZON - kafka_shard.OPEN, kafka_shard.HORIZON), 99999)
    worst = kafka_shard.OffsetProgress(0, frozenset(range(kafka_shard.HORIZON)), tries, 64)
    assert (longest < 4096, len(worst.text()) < 4096) == (True, True)


async def nothing():
    """Nobody is told."""


def record(offset):
    return SimpleNamespace(
        offset=lambda: offset, headers=lambda: None, value=lambda: b"x", topic=lambda: "t", partition=lambda: 0
    )


def test_a_graphs_queues_over_kafka_give_the_same_answers(servers, monkeypatch):
    monkeypatch.setenv("NBGRAPH_KAFKA", f"kafka://{servers}?topics=auto")
    graph = Graph("over-kafka")
    graph.to("(event + 1)").to("Queue", "q").to("Batch", max_events=2).to("Queue", "r").to(sum)
    assert list(graph.stream([1, 2, 3], streams="kafka")) == [5, 4]


def test_without_an_address_the_way_out_is_told(monkeypatch):
    monkeypatch.delenv("NBGRAPH_KAFKA", raising=False)
    with pytest.raises(NbgraphError, match='streams="kafka" needs the address of a Kafka broker'):
        Graph("none").run(1, streams="kafka")


def test_the_missing_package_is_told():
    code = "import sys; sys.modules['confluent_kafka'] = None; import nbgraph.streams.kafka.broker"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "KafkaBroker needs the package confluent-kafka: pip install confluent-kafka" in done.stderr
