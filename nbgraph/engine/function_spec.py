"""FunctionSpec: the specification of a function, shared by partition, build and workers."""

from __future__ import annotations

import msgspec


class FunctionSpec(msgspec.Struct, frozen=True, omit_defaults=True, dict=False):
    """A deployable group of steps: its name, and the queues that it reads.

    Parameters
    ----------
    name
        Unique in its graph; empty where the graph is one function without a specification.
    reads
        The queues that it reads.
    answers
        Whether the step that answers the caller is in it.
    asks
        Whether callers come to it, and the answer may come from another function.
    confirms
        Whether callers come to it and are told the event's id at once.
    models
        Whether another function has models that callers may ask about.
    threads
        Synchronous steps that a worker runs at once.
    workers
        Processes that callers reach at one address.

    >>> spec = FunctionSpec("score", ("cleaned",), asks=True)
    >>> print(spec.to_json().decode(), end="")
    {
      "function": "score",
      "reads": [
        "cleaned"
      ],
      "asks": true
    }
    >>> FunctionSpec.from_json(spec.to_json()) == spec, spec.is_part, spec.is_gateway
    (True, True, True)
    """

    name: str = msgspec.field(default="", name="function")
    reads: tuple[str, ...] = ()
    answers: bool = True
    asks: bool = False
    confirms: bool = False
    models: bool = False
    threads: int = 1
    workers: int = 1

    @property
    def is_part(self) -> bool:
        """Whether it is one of several functions."""
        return bool(self.reads) or self.asks or self.confirms

    @property
    def is_gateway(self) -> bool:
        """Whether callers come to it."""
        return not self.is_part or self.asks or self.confirms

    @classmethod
    def from_json(cls, text: bytes) -> FunctionSpec:
        """The specification that `to_json` wrote, in this or an earlier version."""
        return msgspec.json.decode(text, type=FunctionSpec)

    def to_json(self) -> bytes:
        """The part that a worker needs: all but the number of processes."""
        own = {name: getattr(self, name) for name in FunctionSpec.__struct_fields__}
        spec = FunctionSpec(**{**own, "workers": 1})
        return msgspec.json.format(msgspec.json.encode(spec), indent=2) + b"\n"
