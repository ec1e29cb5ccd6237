"""ContainerWorker: what runs in a container of a job: it does what it hears over the broker, in a process beside it.

So a row that kills its process kills no container, and is found as anywhere. A container whose job is gone ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
import traceback
from contextlib import suppress
from pathlib import Path

from nbgraph.contract import HOSTED_FOLDER, INBOX_FILE, PAYLOAD_FILE, TOKEN_SECRET, JobOption
from nbgraph.errors import GraphError, JobError
from nbgraph.jobs.engines.messages import BEAT, TaskOrder, TaskOutcome, WorkerState, encode, order_in
from nbgraph.jobs.engines.process import Child
from nbgraph.jobs.part import LostError, Task
from nbgraph.jobs.scheduler import told
from nbgraph.streams.base import Inbox
from nbgraph.streams.transport import StreamAddress, transport_of

ORPHANED = 60.0  # seconds without a word of the job's own process, which may be busy for a while
ALONE = 8.0  # seconds without it and without a broker, which ends with it
FINAL = (JobError, GraphError, OSError, ImportError)  # another try would come to the same


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nbgraph.jobs.engines.container_worker")
    parser.add_argument(JobOption.FOLDER, type=Path, required=True, help="folder of the job")
    parser.add_argument(JobOption.BROKER, required=True, help="URL of the broker")
    given = parser.parse_args()
    try:
        asyncio.run(ContainerWorker(given.folder, given.broker).run())
    except BaseException:
        log = given.folder / "_job" / "logs" / f"container-{platform.node()}.txt"
        log.write_text(traceback.format_exc())  # the container is gone when somebody looks
        raise


class ContainerWorker:
    """Does one order at a time, and tells how it stands."""

    def __init__(self, folder: Path, broker: str) -> None:
        self._folder, self._url = folder, broker
        self._order = ""
        self._outcome: TaskOutcome | None = None
        self._child: Child | None = None
        self._doing: asyncio.Task[None] | None = None
        self._heard = time.monotonic()

    async def run(self) -> None:
        hosted = self._folder / HOSTED_FOLDER
        secret = (hosted / TOKEN_SECRET).read_text() if (hosted / TOKEN_SECRET).exists() else ""
        address = StreamAddress.of_url(self._url, secret)
        self._away = transport_of(address).away()
        self._broker = await transport_of(address).connect(address, patience=ORPHANED)
        self._inbox = await self._broker.inbox()
        listening = asyncio.create_task(self._listen(self._inbox))
        while time.monotonic() - self._heard < (ORPHANED if self._broker.is_connected else ALONE):
            if listening.done():
                listening.result()
            await self._tell()
            await asyncio.sleep(BEAT)
        os._exit(0)  # with the process beside it, whatever that is at

    async def _listen(self, inbox: Inbox) -> None:
        async for _, body in inbox.replies():
            self._heard = time.monotonic()
            order = order_in(body)
            if order.id != self._order:
                await self._take(order)

    async def _take(self, order: TaskOrder) -> None:
        """Begin another order; one that is under way is none any more."""
        if self._doing is not None and not self._doing.done() and self._child is not None:
            self._child.hang_up()
            await self._doing
        self._order, self._outcome = order.id, None
        if order.task is not None:
            self._doing = asyncio.create_task(self._do(order.id, order.task))

    async def _do(self, id: str, task: Task) -> None:
        outcome = await asyncio.to_thread(self._done, task)
        if self._order == id:
            self._outcome = outcome
            await self._tell()

    def _done(self, task: Task) -> TaskOutcome:
        try:
            if self._child is None:
                packed = (self._folder / HOSTED_FOLDER / PAYLOAD_FILE).read_bytes()
                self._child = Child(platform.node(), packed, self._folder, None)
            return TaskOutcome(record=self._child.run(task))
        except LostError as error:
            if self._child is not None:
                self._child.end()
            self._child = None
            return TaskOutcome(lost=error.reason, step=error.step)
        except Exception as error:
            return TaskOutcome(error=told(error, self._folder), is_final=isinstance(error, FINAL))

    async def _tell(self) -> None:
        """Tell the job's own process, which may not be there yet, over a broker that may be away."""
        hosted = self._folder / HOSTED_FOLDER
        state = WorkerState(
            platform.node(), self._inbox.address, (hosted / PAYLOAD_FILE).is_file(), self._order, self._outcome
        )
        with suppress(*self._away, FileNotFoundError):
            await self._broker.reply((hosted / INBOX_FILE).read_text(), {}, encode(state))


if __name__ == "__main__":
    main()
