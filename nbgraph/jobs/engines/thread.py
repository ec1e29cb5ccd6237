"""ThreadEngine: tasks on threads of this process, for graphs that can't leave it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from nbgraph.jobs.part import PartRecord, Task
from nbgraph.jobs.part_run import PartRunner
from nbgraph.jobs.payload import Payload


class ThreadEngine:
    """A row that ends its process ends this one."""

    def __init__(self, payload: Payload, packed: bytes, workers: int) -> None:
        self._work, self._number = PartRunner(payload, "thread", packed), workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="nbgraph-job")

    def submit(self, task: Task) -> Future[PartRecord]:
        return self._pool.submit(self._work.run, task)

    def workers(self) -> int:
        return self._number

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
