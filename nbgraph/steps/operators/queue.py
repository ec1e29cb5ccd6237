"""Queue: a buffered border between steps, and the cut line of a deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.arguments import whole
from nbgraph.steps.key import Key, key_of
from nbgraph.types import Section, Shape, StepKind

__all__ = ["Queue"]


class Queue(Handler):
    """Here events may wait, and the graph may be cut into functions.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip).to(Queue("cleaned")).to(str.upper)
    >>> graph.run(" hello ")
    'HELLO'

    A queue with a `key` (a field's name, "$key", a function of the body) keeps the order of each key over all its
    `shards`, and behind it that is the event's key; it holds at most `max_size` events, then whoever fills it waits.
    """

    section = Section.QUEUES
    kind = StepKind.QUEUE
    is_named_first = True

    do: Callable[[Any], None]
    hands_over = True

    def __init__(self, name: str = "queue", key: Key = None, shards: int = 1, max_size: int = 1000) -> None:
        for argument, value in (("shards", shards), ("max_size", max_size)):
            whole(f'Queue "{name}"', argument, value)
        if shards > 1 and key is None:
            raise GraphError(f'Queue "{name}" has {shards} shards and no key to spread events by; give it a key.')
        self.name, self.key, self.shards, self.max_size = name, key, shards, max_size
        self._key_of = key_of(key, "Queue")
        self.shape = Shape.EACH if key is None else Shape.EVENT
        self.do = self._pass if key is None else self._under_key

    def _pass(self, body: Any) -> None:
        """The body goes on as it is."""

    def _under_key(self, event: Event) -> None:
        key = self._key_of(event)
        event.key = event.key if key is None else key
