"""Quix Streams: its composed dataframe called directly, so that no Kafka is in what is measured."""

from __future__ import annotations

from typing import Any

import work
from protocol import Run, serve
from quixstreams import Application
from quixstreams.models.topics import TopicConfig, TopicManager


class NoBroker:
    """Stands in for the broker when a topic is declared; nothing is sent."""

    def inspect_topics(self, names: list[str], timeout: float) -> dict[str, TopicConfig]:
        return {name: TopicConfig(num_partitions=1, replication_factor=1) for name in names}


application = Application(
    "127.0.0.1:9",
    consumer_group="benchmark",
    loglevel=None,
    use_changelog_topics=False,
    topic_manager=TopicManager(NoBroker(), consumer_group="benchmark"),
)


def stream() -> Run:
    topic = application.topic("numbers")
    frame = application.dataframe(topic).apply(work.plus).filter(work.is_even).apply(work.both, expand=True)
    total = 0

    def fold(value: int, key: Any, timestamp: int, headers: Any) -> None:
        nonlocal total
        total = work.add(total, value)

    execute = frame.compose(sink=fold)[topic.name]

    def run(events: int) -> int:
        nonlocal total
        total = 0
        for number in range(events):
            execute(number, b"key", 0, None)
        return total

    return run


serve({"stream": stream})
