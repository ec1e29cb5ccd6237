"""DaskEngine: tasks on the workers of a Dask cluster, each in a process of its own beside the worker.

A row that kills its process so kills no worker of the cluster, and is found as anywhere. Files are read and written by
the workers, so the job's folder has to be one that all of them see; what goes over the wire is the graph and records.
"""

from __future__ import annotations

import os
import platform
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from nbgraph import __version__
from nbgraph.errors import JobError
from nbgraph.jobs.engines.process import Child
from nbgraph.jobs.part import LostError, PartRecord, Task
from nbgraph.steps.optional import package

PREFIX = "dask://"
Told = tuple[str, Any]  # RECORD with a record, LOST with how the process ended, ERROR with the error
RECORD, LOST, ERROR = "record", "lost", "error"


class DaskEngine:
    """The cluster at an address, or that of a client."""

    def __init__(self, given: Any, packed: bytes, folder: Path) -> None:
        distributed = package("distributed", 'engine="dask://..."', "nbgraph[dask]")
        self._is_own = isinstance(given, str)
        address = f"tcp://{given.removeprefix(PREFIX)}" if isinstance(given, str) else ""
        try:
            self._client = distributed.Client(address, timeout=10, set_as_default=False) if self._is_own else given
        except OSError as error:
            raise JobError(f"There is no scheduler of Dask at {given}: {error}.") from error
        self._job = os.urandom(8).hex()
        self._folder, self._packed = str(folder), packed
        try:
            self._check()
        except BaseException:
            self._leave()
            raise

    def submit(self, task: Task) -> Future[PartRecord]:
        future: Future[PartRecord] = Future()
        remote = self._client.submit(run, self._job, self._packed, self._folder, task, pure=False, retries=0)
        remote.add_done_callback(lambda done: _hand_over(done, future))
        return future

    def workers(self) -> int:
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def close(self) -> None:
        try:
            self._client.run(end, self._job, on_error="ignore")
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._is_own:
            self._client.close(timeout=5)

    def _check(self) -> None:
        """All workers run what this process runs, and see the job's folder."""
        told = self._client.run(about, self._folder)
        if not told:
            raise JobError("The cluster of Dask has no workers; start some, or wait until they have come.")
        here = about(self._folder)
        for worker, there in told.items():
            for name, mine in here.items():
                if there[name] != mine:
                    raise JobError(_difference(worker, name, mine, there[name], self._folder))


def _difference(worker: str, name: str, here: Any, there: Any, folder: str) -> str:
    if name == "folder":
        return f"The worker {worker} of Dask does not see {folder}; name a folder that all machines share."
    return f"The worker {worker} of Dask has {name} {there}, and this process has {here}; make them the same."


def _hand_over(done: Any, future: Future[PartRecord]) -> None:
    """The outcome of Dask's future as ours."""
    try:
        kind, told = done.result()
    except BaseException as error:  # the worker itself was lost, more often than the scheduler bears
        future.set_exception(LostError(f"{type(error).__name__}: {error}"))
        return
    if kind == RECORD:
        future.set_result(told)
    else:
        future.set_exception(LostError(*told) if kind == LOST else told)


# --- on the cluster ---


def about(folder: str) -> dict[str, Any]:
    """What has to be the same on all machines."""
    version = ".".join(platform.python_version_tuple()[:2])
    return {"Python": version, "nbgraph": __version__, "folder": (Path(folder) / "_job" / "job.json").is_file()}


class _Hands:
    """The processes of one worker of Dask: one for each of its threads and jobs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: dict[str, list[Child]] = {}
        self.all: dict[str, list[Child]] = {}

    def take(self, job: str, packed: bytes, folder: Path) -> Child:
        with self.lock:
            idle = self.idle.setdefault(job, [])
            if idle:
                return idle.pop()
            name = f"dask-{platform.node()}-{os.getpid()}-{len(self.all.get(job, []))}"
            child = Child(name, packed, folder, None)
            self.all.setdefault(job, []).append(child)
            return child

    def give_back(self, job: str, child: Child) -> None:
        with self.lock:
            self.idle.setdefault(job, []).append(child)

    def end(self, job: str) -> None:
        with self.lock:
            children = self.all.pop(job, [])
            self.idle.pop(job, None)
        for child in children:
            child.hang_up()
        for child in children:
            child.end()


_hands = _Hands()


def run(job: str, packed: bytes, folder: str, task: Task) -> Told:
    """A task in a process beside the worker; what came of it, told as a value."""
    child = _hands.take(job, packed, Path(folder))
    try:
        record = child.run(task)
    except LostError as error:
        child.end()
        return LOST, (error.reason, error.worker, error.step)
    except BaseException as error:
        _hands.give_back(job, child)
        return ERROR, error
    _hands.give_back(job, child)
    return RECORD, record


def end(job: str) -> None:
    """End the processes of a job."""
    _hands.end(job)
