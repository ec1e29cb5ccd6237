"""Names on a NATS server: of a queue's stream, and of the consumer of one of its shards."""

from __future__ import annotations

from nbgraph.streams.base import flat_name


def stream_name(queue: str) -> str:
    """The stream of a queue.

    >>> stream_name("fees"), stream_name("a.b")
    ('fees', 'a_2e_b')
    """
    return flat_name(queue)


def consumer_name(shard: int) -> str:
    """The consumer that all workers share.

    >>> consumer_name(3)
    'shard-3'
    """
    return f"shard-{shard}"
