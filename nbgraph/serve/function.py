"""A Part: what a function is in a graph of several."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FunctionRole:
    """The queues it reads; whether the step that answers callers is in it; whether callers come to it.

    `asks`: callers come here, and the answer may come from another function. `confirms`: they come here and are told
    the event's id at once. `models`: another function has models that callers may ask about. `threads`: synchronous
    steps that a worker of it runs at once.
    """

    function: str = ""
    reads: tuple[str, ...] = ()
    answers: bool = True
    asks: bool = False
    confirms: bool = False
    models: bool = False
    threads: int = 1

    @property
    def is_joined(self) -> bool:
        """Whether there are others beside it."""
        return bool(self.reads) or self.asks or self.confirms
