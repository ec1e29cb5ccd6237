"""Messages between a job's own process and its workers in containers: each tells how it stands, again and again.

Nothing has to arrive: whoever missed a message learns all of it from the next one, half a second later.
"""

from __future__ import annotations

import msgspec

from nbgraph.jobs.part import PartRecord, Task

BEAT = 0.5  # seconds between two messages to, and of, a worker


class TaskOrder(msgspec.Struct, frozen=True):
    """What a worker shall be at, or have done; an empty id: nothing."""

    id: str = ""
    task: Task | None = None


class TaskOutcome(msgspec.Struct, frozen=True):
    """What came of a task: its record; how its process was lost; or an error, `is_final` where no try will mend it.

    `step`: the one that had begun when the process was lost.
    """

    record: PartRecord | None = None
    lost: str = ""
    step: str = ""
    error: str = ""
    is_final: bool = False


class WorkerState(msgspec.Struct, frozen=True):
    """How a worker stands: where it listens, whether it sees the job's folder, the order that it is at or has done."""

    worker: str
    inbox: str
    sees_folder: bool = True
    order: str = ""
    outcome: TaskOutcome | None = None


def encode(message: TaskOrder | WorkerState) -> bytes:
    """The bytes of a message.

    >>> order_in(encode(TaskOrder("t1"))).id
    't1'
    """
    return msgspec.msgpack.encode(message)


def order_in(data: bytes) -> TaskOrder:
    return _orders.decode(data)


def state_in(data: bytes) -> WorkerState:
    return _states.decode(data)


_orders = msgspec.msgpack.Decoder(TaskOrder)
_states = msgspec.msgpack.Decoder(WorkerState)
