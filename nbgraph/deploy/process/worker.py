"""A Member: one worker process of a function, and the folder it works in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from nbgraph.capture.requirements import import_path
from nbgraph.contract import METRICS_PATH, WORKER_MODULE, Option, Ready
from nbgraph.deploy.backend import FunctionState, failed_start
from nbgraph.deploy.process.rlimit import limit
from nbgraph.deploy.project.hardening import GRACE_SECONDS

READY, LOG = "ready.json", "log"
CALM = 10.0  # seconds after which an end is no sign of a worker that can't live
PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before one that keeps ending is tried again


class ProcessWorker:
    """A worker that is started, and started again when it ends without having been asked to.

    `variables` are added to the environment that it inherits; `memory`: bytes of data that it may have.
    """

    def __init__(
        self, function: str, number: int, folder: Path, options: Sequence[str], handed: int | None,
        variables: Mapping[str, str], memory: int | None,
    ) -> None:  # fmt: skip
        self.function, self.number, self.folder = function, number, folder
        self.restarts = 0
        self._handed, self._variables, self._memory = handed, variables, memory
        self._command = [
            sys.executable, "-P", "-m", WORKER_MODULE, Option.METRICS_PORT, "0",
            Option.READY_FILE, str(folder / READY), Option.UNTIL_EOF, *options,
        ]  # fmt: skip
        self._lock = threading.Lock()
        self._is_dismissed = False
        self._quick_ends, self._again_at = 0, 0.0
        folder.mkdir(parents=True)
        self._launch()

    def wait(self, deadline: float, patience: float) -> None:
        """Return once it is ready; `deadline` is on the monotonic clock, `patience` what the error tells of it."""
        while not self.is_ready:
            if not self.is_alive:
                raise failed_start(f'The worker of "{self.function}" ended before it was ready', self.log())
            if time.monotonic() > deadline:
                told = f'The worker of "{self.function}" was not ready within {patience:g} seconds'
                raise failed_start(told, self.log())
            time.sleep(0.01)

    def mend(self) -> bool:
        """Start it again if it has ended by itself; one that keeps ending waits longer each time."""
        with self._lock:
            if self._is_dismissed or self.is_alive:
                return False
            now = time.monotonic()
            if not self._again_at:
                self._quick_ends = self._quick_ends + 1 if now - self._since < CALM else 0
                self._again_at = now + min(LONGEST_PAUSE, PAUSE * 2**self._quick_ends if self._quick_ends > 1 else 0)
            if now < self._again_at:
                return False
            self.restarts += 1
            self._worker.communicate()  # closes its pipe
            self._launch()
            return True

    @property
    def pid(self) -> int:
        return self._worker.pid

    @property
    def is_alive(self) -> bool:
        return self._worker.poll() is None

    @property
    def is_ready(self) -> bool:
        return (self.folder / READY).exists()

    @property
    def metrics_url(self) -> str:
        return metrics_url(self.folder)

    def log(self) -> str:
        return (self.folder / LOG).read_text(errors="replace")

    def state(self) -> FunctionState:
        name = "exited" if not self.is_alive else "running" if self.is_ready else "starting"
        return FunctionState(self.function, str(self.pid), name, self.restarts, self.began, "")

    def ask_to_stop(self) -> None:
        """SIGTERM: it reads no more, finishes what it has, and ends."""
        with self._lock:
            self._is_dismissed = True
            if self.is_alive:
                self._worker.terminate()

    def stop(self) -> None:
        """Ask, wait for the grace period, and end it."""
        self.ask_to_stop()
        try:
            self._worker.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.communicate()

    def _launch(self) -> None:
        (self.folder / READY).unlink(missing_ok=True)
        handed = [] if self._handed is None else [Option.LISTEN_FD, str(self._handed)]
        with (self.folder / LOG).open("ab") as log:
            # Its standard input is a pipe that closes when the notebook dies, however it dies; a session of its own
            # keeps a Ctrl-C in the terminal from it.
            self._worker = subprocess.Popen(
                [*self._command, *handed], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True, pass_fds=() if self._handed is None else (self._handed,),
                env={**os.environ, "PYTHONPATH": import_path(), **self._variables},
            )  # fmt: skip
        if self._memory is not None:
            limit(self._worker.pid, self._memory)
        self.began = datetime.now(UTC).isoformat(timespec="seconds")
        self._since, self._again_at = time.monotonic(), 0.0


def metrics_url(folder: Path) -> str:
    """Where the worker of that folder tells its numbers."""
    ready = msgspec.json.decode((folder / READY).read_bytes(), type=Ready)
    return f"http://127.0.0.1:{ready.metrics_port}{METRICS_PATH}"
