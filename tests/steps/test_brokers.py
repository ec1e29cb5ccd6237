"""Kafka and NATS: what goes into a target comes out of a source, and comes again until it is through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Event, Graph, StepError, steps
from tests.steps.brokers import mock_kafka, nats_server

# The mock cluster keeps a member that has left until its session is over.
QUICK = {"session.timeout.ms": 4000, "heartbeat.interval.ms": 500}


class Broker:
    """Makes sources and targets of one topic."""

    def __init__(self, target: Callable[..., Any], source: Callable[..., Any]) -> None:
        self.target, self.source = target, source


@pytest.fixture(params=["kafka", "nats"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "kafka":
        with mock_kafka() as address:
            yield Broker(
                lambda **options: steps.KafkaTarget(address, "scored", sharding_func=lambda body: 0, **options),
                lambda: steps.KafkaSource(address, "scored", idle_seconds=1.2, consumer_options=QUICK),
            )
        return
    with nats_server(tmp_path) as url:
        yield Broker(
            lambda **options: steps.NatsTarget(url, "scored.all", stream="scored", **options),
            lambda: steps.NatsSource(url, "scored.all", idle_seconds=1.6, ack_seconds=1),  # longer than the lease
        )


def send(broker: Broker, bodies: list[Any], **options: Any) -> None:
    graph = Graph("send")
    graph.to(broker.target(**options))
    list(graph.stream([Event(body, key=f"k{number}") for number, body in enumerate(bodies)]))


def receive(broker: Broker, handler: Any) -> Any:
    graph = Graph("receive")
    graph.to(handler, "handler")
    return graph.stream(broker.source())


def test_bodies_and_keys_come_out_as_they_went_in(broker: Broker) -> None:
    send(broker, [{"n": 1}, "seven", [1, None], b"\xff"], max_events=3)
    seen: list[Any] = []
    graph = Graph("receive")
    graph.to(lambda event: seen.append((event.key, event.body)), full_event=True)
    list(graph.stream(broker.source()))
    assert seen == [("k0", {"n": 1}), ("k1", "seven"), ("k2", [1, None]), ("k3", b"\xff")]


def test_what_is_through_does_not_come_again_and_what_is_not_does(broker: Broker) -> None:
    send(broker, ["a", "b", "c", "d"])

    def refuse(body: str) -> str:
        if body == "c":
            raise ValueError("not today")
        return body

    first = receive(broker, refuse)
    assert [next(first), next(first)] == ["a", "b"]
    with pytest.raises(StepError, match="not today"):
        next(first)
    first.close()  # the reader is gone; the broker learns it
    assert list(receive(broker, str.upper)) == ["C", "D"]
    assert list(receive(broker, str.upper)) == []


def test_a_batch_is_through_when_it_is_full(broker: Broker) -> None:
    send(broker, ["a", "b", "c"])
    first = receive(broker, steps.Batch(2))
    assert next(first) == ["a", "b"]
    first.close()
    assert list(receive(broker, str.upper)) in (["C"], ["A", "B", "C"])


def test_async_steps(broker: Broker) -> None:
    async def upper(body: str) -> str:
        return body.upper()

    send(broker, ["a", "b", "c"])
    assert list(receive(broker, upper)) == ["A", "B", "C"]


def test_a_target_that_nobody_answers() -> None:
    pytest.importorskip("confluent_kafka")
    options = {"message.timeout.ms": 300, "log_level": 0}
    graph = Graph("g")
    graph.to(steps.KafkaTarget("127.0.0.1:1", "t", producer_options=options), "kafka")
    with pytest.raises(StepError, match='Step "kafka" failed: KafkaException'):
        graph.run({"a": 1})
