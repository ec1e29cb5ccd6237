"""Names of Kafka's topics: those of one deployment begin with its name, so that several share a cluster."""

from __future__ import annotations

from nbgraph.streams.base import QueueSpec, flat_name

ROOT = "nbgraph"


def prefix_of(scope: str) -> str:
    """How the names of the topics of a scope begin, up to the first dot.

    >>> prefix_of(""), prefix_of("orders")
    ('nbgraph', 'nbgraph-orders')
    """
    return f"{ROOT}-{flat_name(scope)}" if scope else ROOT


def topic_of(queue: QueueSpec, scope: str = "") -> str:
    """The topic of a queue, and the name of the group that reads it.

    >>> topic_of(QueueSpec("fees")), topic_of(QueueSpec("fees"), "orders")
    ('nbgraph.queue.fees', 'nbgraph-orders.queue.fees')
    """
    return f"{prefix_of(scope)}.queue.{flat_name(queue.name)}"
