"""Shards: rows of the same key come to the same one; what a step keeps there is held against that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from nbgraph.engine.plan import Plan
from nbgraph.engine.schedule.stream import event_of_row
from nbgraph.engine.step_facts import built_in
from nbgraph.errors import JobError
from nbgraph.handler import Handler
from nbgraph.jobs.sources.slices import SourceShard
from nbgraph.steps.targets.base import Target
from nbgraph.values import normal_key


def shard_of(row: Any, key: Any, shards: int) -> int:
    """Which shard a row belongs to; what has no key fails in the first, as it would anywhere.

    >>> shard_of({"card": 7}, "card", 8) == shard_of({"card": 7.0}, "card", 8)
    True
    """
    try:
        found = event_of_row(row, key).key
    except Exception:
        return 0
    return shard_of_key(found, shards)


def shard_of_key(key: Any, shards: int) -> int:
    return crc32(repr(normal_key(key)).encode("utf-8", "surrogatepass")) % shards


def check_keys(plan: Plan, shard: SourceShard, key: Any) -> None:
    """Refuse what a step keeps under a key of another shard: its events are then apart that belong together."""
    for name, step in plan.steps.items():
        target = step.call.target
        if not step.call.remembers or isinstance(target, Target):
            continue
        for kept in _keys_of(target, key):
            if shard_of_key(kept, shard.shards) != shard.shard:
                raise JobError(
                    f'Step "{name}" keeps its state by {kept!r}, which is not the key that the job is cut by '
                    f"(key={key!r}): a step before it has changed that, or it goes by something else. Name a key that "
                    "is the same at that step, which may be a function of the row, or run it in one piece: workers=1."
                )


def _keys_of(target: Any, key: Any) -> Iterable[Any]:
    """The keys by which a step keeps something; of several parts that which the job is cut by."""
    state = getattr(target, "state", None)
    if not isinstance(state, Mapping):
        return ()
    if built_in(target) == "AggregateByKey":
        own = target.arguments.get("key") if isinstance(target, Handler) else None
        kept = state["keys"]
        return [one[list(own).index(key)] for one in kept] if isinstance(own, list | tuple) else list(kept)
    if built_in(target) is not None:
        return list(state)
    names = _fixed(target)
    return [one for name, part in state.items() for one in (part if name in names else (name,))]


def _fixed(target: Any) -> set[Any]:
    """The names of a state of one's own that are there from the beginning, and hold dicts by key."""
    first = {name for name, part in target.state.items() if isinstance(part, Mapping)}
    code = getattr(getattr(type(target), "__init__", None), "__code__", None)
    constants = getattr(code, "co_consts", ())
    return first & {one for each in constants for one in (each if isinstance(each, tuple) else (each,))}
