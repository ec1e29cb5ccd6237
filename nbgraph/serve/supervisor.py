"""Foreman: a small parent that has several workers on one socket, and starts again those that end.

A caller is taken by whichever worker comes first; one that has ended takes none, so nobody is refused. What all of
them know of callers (requests and their replies, what was promised, failures) is in a folder that they share, or at the
broker. The foreman answers for all of them where numbers, failures and captures are asked for.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.contract import (
    CAPTURES_PATH,
    COUNTS_PATH,
    FAILURES_PATH,
    METRICS_PATH,
    PROFILES_PATH,
    TARGETS_PATH,
    WORKER_MODULE,
    Option,
    Ready,
)
from nbgraph.serve.gateway.listener import bound, inherited
from nbgraph.serve.parent_watch import ParentWatch
from nbgraph.serve.settings import Settings, report_ready
from nbgraph.serve.telemetry.admin import answering, told_targets
from nbgraph.serve.telemetry.sums import Sums, listed

EVERY = 0.05  # seconds between two looks at the workers
COUNTED = 1.0  # seconds between two looks at what they have counted
CALM = 10.0  # seconds after which an end is no sign of a worker that can't live
PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before one that keeps ending is started again
STEP = 1.0  # seconds after which the next worker is asked to stop, though the one before is not done
log = logging.getLogger("nbgraph.serve")


class Worker:
    """One of the processes; its number is another one each time that it is started."""

    def __init__(self, place: int, folder: Path, command: Sequence[str], descriptor: int) -> None:
        self._ready = folder / f"{place}.json"
        self._command = [*command, Option.READY_FILE, str(self._ready)]
        self._descriptor = descriptor
        self._quick_ends, self._again_at = 0, 0.0
        self.number = place
        self.start()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def place(self) -> str | None:
        """Where it tells of itself; None before it is ready."""
        if not (self.is_alive and self._ready.exists()):
            return None
        return f"http://127.0.0.1:{msgspec.json.decode(self._ready.read_bytes(), type=Ready).metrics_port}"

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, pass_fds=(self._descriptor,), start_new_session=True
        )
        self._since, self._again_at = time.monotonic(), 0.0

    def mend(self, number: int) -> bool:
        """Start it again; one that keeps ending waits longer each time."""
        now = time.monotonic()
        if not self._again_at:
            self._quick_ends = self._quick_ends + 1 if now - self._since < CALM else 0
            self._again_at = now + min(LONGEST_PAUSE, PAUSE * 2**self._quick_ends if self._quick_ends > 1 else 0)
        if now < self._again_at:
            return False
        self.process.communicate()  # closes its pipe
        self.number = number
        self.start()
        return True


def lead(settings: Settings, words: Sequence[str]) -> int:
    """Until SIGTERM or SIGINT, then the workers stop one after the other; the exit status."""
    tether = ParentWatch(0) if settings.is_until_eof else None
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if tether is not None:
        tether.then(stop.set)
    fd = settings.listen_fd
    listener = bound(settings.host, settings.port) if fd is None else inherited(fd)
    listener.listen(2048)
    with tempfile.TemporaryDirectory(prefix="nbgraph-") as folder, contextlib.closing(listener):
        shared = [] if settings.data is not None else [Option.DATA, str(Path(folder) / "data")]
        command = [
            sys.executable, "-P", "-m", WORKER_MODULE, *words, *shared, Option.WORKERS, "1", Option.LISTEN_FD,
            str(listener.fileno()), Option.METRICS_HOST, "127.0.0.1", Option.METRICS_PORT, "0", Option.UNTIL_EOF,
        ]  # fmt: skip
        workers = [Worker(place, Path(folder), command, listener.fileno()) for place in range(settings.workers)]
        try:
            return _watch(settings, workers, listener.getsockname()[1], stop)
        finally:
            _end(workers, settings.drain_seconds + settings.grace_seconds)


def _watch(settings: Settings, workers: Sequence[Worker], port: int, stop: threading.Event) -> int:
    """The exit status: 1 where a worker ended before any was ready, as it does alone."""
    is_up, numbers = False, settings.workers
    told = _Numbers(workers, stop)
    with answering(settings.metrics_host, settings.metrics_port, told.answer) as metrics_port:
        while not stop.wait(EVERY):
            ready = [worker for worker in workers if worker.place is not None]
            if not is_up and len(ready) == len(workers):
                is_up = True
                report_ready(settings, port, metrics_port)
            for worker in [worker for worker in workers if not worker.is_alive]:
                if not is_up and not ready:
                    return 1
                if worker.mend(numbers):
                    numbers += 1
                    log.error("A worker has ended; it is started again")
    return 0


def _end(workers: Sequence[Worker], seconds: float) -> None:
    """One after the other, so that there is somebody for callers as long as possible."""
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(min(STEP, max(deadline - time.monotonic(), 0)))
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(deadline - time.monotonic(), 0) + STEP)
        worker.process.kill()
        worker.process.communicate()


class _Numbers:
    """What the workers tell, as one; they are looked at often, since one that is killed can't tell any more."""

    def __init__(self, workers: Sequence[Worker], stop: threading.Event) -> None:
        self._workers, self._stop = workers, stop
        self._sums, self._turn = Sums(), threading.Lock()
        threading.Thread(target=self._watch, daemon=True, name="nbgraph-numbers").start()

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path == CAPTURES_PATH or path.startswith(FAILURES_PATH):
            start("200 OK", [("Content-Type", "application/json")])
            return [listed(_told(self._workers, path, method).values())]
        if path == TARGETS_PATH:
            start("200 OK", [("Content-Type", "application/json")])
            return [told_targets(None, environ)]
        if path == PROFILES_PATH:  # all workers keep one journal
            start("200 OK", [("Content-Type", "application/vnd.msgpack")])
            query = environ.get("QUERY_STRING", "")
            return list(_told(self._workers, f"{path}?{query}", method).values())[:1]
        start("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        with self._turn:
            return [self._sums.text(*self._heard(METRICS_PATH))]

    def _watch(self) -> None:
        while not self._stop.wait(COUNTED):
            with self._turn:
                self._sums.look(*self._heard(COUNTS_PATH))

    def _heard(self, path: str) -> tuple[dict[int, str], set[int]]:
        told = _told(self._workers, path, "GET")
        return {number: text.decode() for number, text in told.items()}, {worker.number for worker in self._workers}


def _told(workers: Sequence[Worker], path: str, method: str) -> dict[int, bytes]:
    """What each of those that answer tells there."""
    found = {}
    for worker in workers:
        place = worker.place
        if place is not None:
            request = urllib.request.Request(f"{place}{path}", method=method)
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as response:
                found[worker.number] = response.read()
    return found
