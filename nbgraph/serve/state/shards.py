"""Shards: for each shard of the queues that a function reads, the state of the steps behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nbgraph.engine import loop
from nbgraph.engine.compile.plan_copy import copy_of
from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.state.shard import Bury, Shard
from nbgraph.serve.state.state_pages import head_of
from nbgraph.streams.base import Broker, Message, QueueSpec

SWEEP = 2.0  # seconds between looks at the shards of others
GRACE = 1.0  # seconds that the worker which has a shard gets to let go what is due
_shift = time.time() - time.monotonic()
log = logging.getLogger("nbgraph.serve")


def clock() -> float:
    """Seconds that mean the same in every worker, and go on evenly in this one whatever is done to its clock."""
    return time.monotonic() + _shift


@dataclass(eq=False)
class _Group:
    """Queues that lead to the same steps, and these steps; their shards share what the steps remember."""

    readers: dict[str, QueueSpec]
    steps: set[str]
    shards: dict[int, Shard] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "+".join(sorted(spec.name for spec in self.readers.values()))

    @property
    def count(self) -> int:
        """How many shards there are."""
        return next(iter(self.readers.values())).shards


class Shards:
    """Finds the shard of a message, and lets go what is due. Only keyed queues: of others nobody has the next event."""

    def __init__(
        self, track: PlanRunner, function: str, broker: Broker, reads: Mapping[str, QueueSpec], writes: list[QueueSpec]
    ) -> None:
        self._track, self._plan, self._function, self._broker = track, track.plan, function, broker
        self._queues = {spec.name: spec for spec in writes}
        self._groups = _groups(track.plan, {name: spec for name, spec in reads.items() if spec.is_keyed})
        self._timers: dict[Shard, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bury: Bury | None = None

    def open(self, bury: Bury) -> None:
        """Look after timers; `bury` keeps what was let go and failed."""
        self._bury = bury
        for group in self._groups:
            self._shard(group, 0)  # a state that can't be kept is told of now
            if any(self._plan.steps[step].call.due is not None for step in group.steps):
                self._begin(self._sweep(group))

    async def close(self) -> None:
        """Nothing has to be written: all that was remembered is kept already."""
        for timer in self._timers.values():
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def shard(self, reader: str, message: Message) -> Shard | None:
        """The shard of a message; None where nothing behind the queue remembers."""
        group = next((group for group in self._groups if reader in group.readers), None)
        return self._shard(group, group.readers[reader].shard_of(message.key)) if group is not None else None

    def used(self, shard: Shard) -> None:
        """Wait for what the shard's steps want to let go, now that an event has come through."""
        timer = self._timers.pop(shard, None)
        if timer is not None:
            timer.cancel()
        due = shard.due
        if due is not None:
            wait = max(due - clock(), 0.0)
            self._timers[shard] = asyncio.get_running_loop().call_later(wait, self._release, shard)

    def _shard(self, group: _Group, number: int) -> Shard:
        if number not in group.shards:
            name = f"{self._function}/{group.name}/{number}"
            plan = copy_of(self._plan, clock)
            group.shards[number] = Shard(self._track, plan, group.steps, self._broker, name, self._queues, clock)
        return group.shards[number]

    def _release(self, shard: Shard) -> None:
        self._timers.pop(shard, None)
        self._begin(self._released(shard))

    async def _released(self, shard: Shard) -> None:
        assert self._bury is not None
        try:
            await shard.release(self._bury)
        except Exception:
            log.exception("What is due could not be let go, and is tried again")
            await asyncio.sleep(GRACE)
        self.used(shard)

    async def _sweep(self, group: _Group) -> None:
        """Take over what a worker that has died would have let go."""
        while True:
            await asyncio.sleep(SWEEP)
            for number in range(group.count):
                with contextlib.suppress(Exception):  # the broker is away: the next round will tell
                    head = await head_of(self._broker, f"{self._function}/{group.name}/{number}")
                    due = head.get("due")
                    if head.get("released") or (due is not None and due + GRACE < clock()):
                        await self._released(self._shard(group, number))

    def _begin(self, coroutine: object) -> None:
        task = loop.background(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _groups(plan: Plan, reads: Mapping[str, QueueSpec]) -> list[_Group]:
    """Queues by the steps behind them that remember; two that lead to the same step are one group."""
    groups: list[_Group] = []
    for name, spec in reads.items():
        steps = {step for step in _behind(plan, name) if plan.steps[step].call.remembers}
        if not steps:
            continue
        joined = _Group({name: spec}, steps)
        for other in [group for group in groups if group.steps & steps]:
            groups.remove(other)
            joined = _Group(other.readers | joined.readers, other.steps | joined.steps)
        groups.append(joined)
    for group in groups:
        _refuse_unequal(group)
    return groups


def _behind(plan: Plan, start: str) -> Iterator[str]:
    """The steps that an event of a reader may come to."""
    waiting, seen = [start], {start}
    while waiting:
        step = plan.steps[waiting.pop()]
        yield step.name
        targets = [arrow.target for arrow in step.arrows] + [handling.target for handling in step.handlers]
        waiting += [target for target in dict.fromkeys(targets) if target not in seen]
        seen.update(targets)


def _refuse_unequal(group: _Group) -> None:
    if len({spec.shards for spec in group.readers.values()}) > 1:
        told = ", ".join(f'"{spec.name}" has {spec.shards}' for spec in group.readers.values())
        raise NbgraphError(
            f"Queues that lead to the same {', '.join(sorted(group.steps))}, which remembers, need the same key and "
            f"as many shards: {told}."
        )
