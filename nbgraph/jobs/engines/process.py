"""ProcessEngine: tasks on processes of this machine; one that dies takes its own task along and no other."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from nbgraph.errors import JobError
from nbgraph.jobs.engines.worker import RESULT, STEP
from nbgraph.jobs.part import LostError, PartRecord, Task

# Without `multiprocessing`, which would run the user's script once more; modules are looked for where they are here.
START = "import sys; sys.path[:] = {}; from nbgraph.jobs.engines.worker import main; main({}, {})"
GRACE = 2.0  # seconds in which a worker that was told to end may do so
Waiting = tuple[Task, Future[PartRecord]]


class Child:
    """A worker's process and the line to it; tasks are done one at a time."""

    def __init__(self, name: str, packed: bytes, folder: Path, lock: int | None) -> None:
        ours, theirs = socket.socketpair()
        log = folder / "_job" / "logs" / f"{name}.txt"
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START.format(sys.path, theirs.fileno(), lock)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                pass_fds=[theirs.fileno(), *([lock] if lock is not None else [])],
            )  # fmt: skip
        self.name, self._log, self._socket = name, log, ours
        self._line = Connection(os.dup(ours.fileno()))
        with suppress(OSError):  # it died already, which the first task tells
            self._line.send_bytes(pickle.dumps((name, packed)))

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, task: Task) -> PartRecord:
        """Do it there; LostError when the process ends meanwhile."""
        step = ""
        try:
            self._line.send(task)
            while True:
                kind, told = self._line.recv()
                if kind != STEP:
                    break
                step = told
        except (EOFError, OSError):
            raise LostError(self._ending(), f"{self.name} ({self.pid})", step) from None
        if kind == RESULT:
            record: PartRecord = told
            return record
        raise told

    def _ending(self) -> str:
        """How the process ended."""
        try:
            status = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status < 0:
            return f"signal {-status}"
        return f"exit status {status}"

    def last_words(self) -> str:
        """What it wrote last, for a process that can't even start."""
        return self._log.read_text(errors="replace")[-2000:].strip() if self._log.exists() else ""

    def hang_up(self) -> None:
        """The process ends when it notices; who waits for it here is told that it is lost."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Wait until it has ended, which it is made to."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        with suppress(OSError):  # closed before
            self._line.close()
        self._socket.close()


class ProcessEngine:
    """As many workers as asked for, started when there is work for them."""

    def __init__(self, packed: bytes, folder: Path, lock: int, workers: int) -> None:
        self._packed, self._folder, self._lock, self._number = packed, folder, lock, workers
        self._tasks: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._children: dict[str, Child] = {}
        self._is_closed = False
        self._hands = [
            threading.Thread(target=self._work, args=(f"worker-{at}",), daemon=True, name=f"nbgraph-job-{at}")
            for at in range(workers)
        ]
        for hand in self._hands:
            hand.start()

    def submit(self, task: Task) -> Future[PartRecord]:
        future: Future[PartRecord] = Future()
        self._tasks.put((task, future))
        return future

    def workers(self) -> int:
        return self._number

    def close(self) -> None:
        self._is_closed = True
        for _ in self._hands:
            self._tasks.put(None)
        for child in list(self._children.values()):
            child.hang_up()
        until = time.monotonic() + GRACE
        for child in list(self._children.values()):
            child.end()
        for hand in self._hands:
            hand.join(max(0.0, until - time.monotonic()))

    def _work(self, name: str) -> None:
        while (waiting := self._tasks.get()) is not None and not self._is_closed:
            task, future = waiting
            try:
                child = self._children.get(name) or self._children.setdefault(name, self._started(name))
                future.set_result(child.run(task))
            except LostError as error:
                self._children.pop(name, None)
                child.end()
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)

    def _started(self, name: str) -> Child:
        if self._is_closed:
            raise JobError("The job was stopped.")
        return Child(name, self._packed, self._folder, self._lock)
