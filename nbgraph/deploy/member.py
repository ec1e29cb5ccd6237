"""A Member: one worker process of a function, and the folder it works in."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from nbgraph.deploy.hosted import State, failed_start
from nbgraph.deploy.profile import GRACE_SECONDS

READY, LOG = "ready.json", "log"


@dataclass
class Member:
    """Started by us it has a `worker`; found again after a kernel's restart it has a pid only."""

    function: str
    number: int
    folder: Path
    pid: int
    worker: subprocess.Popen[bytes] | None = None

    @classmethod
    def spawn(cls, function: str, number: int, folder: Path, project: Path, options: Sequence[str]) -> Self:
        """Start the worker of a project; `wait` for it before it is used."""
        folder.mkdir(parents=True)
        command = [
            sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(project), "--metrics-port", "0",
            "--ready-file", str(folder / READY), "--until-eof", *options,
        ]  # fmt: skip
        with (folder / LOG).open("wb") as log:
            # Its standard input is a pipe that closes when the notebook dies, however it dies; a session of its own
            # keeps a Ctrl-C in the terminal from it.
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, start_new_session=True
            )
        return cls(function, number, folder, worker.pid, worker)

    def wait(self, deadline: float) -> None:
        """Return once it is ready; `deadline` is on the monotonic clock."""
        while not (self.folder / READY).exists():
            if not self.is_alive:
                raise failed_start(f'A worker of "{self.function}" ended before it was ready', self.log())
            if time.monotonic() > deadline:
                raise failed_start(f'A worker of "{self.function}" was not ready in time', self.log())
            time.sleep(0.01)

    @property
    def is_alive(self) -> bool:
        if self.worker is not None:
            return self.worker.poll() is None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, 0)
            return True
        return False

    @property
    def port(self) -> int:
        return int(json.loads((self.folder / READY).read_text())["port"])

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{json.loads((self.folder / READY).read_text())['metrics_port']}/metrics"

    def log(self) -> str:
        return (self.folder / LOG).read_text(errors="replace")

    def state(self) -> State:
        began = datetime.fromtimestamp(self.folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
        return State(self.function, str(self.pid), "running" if self.is_alive else "exited", 0, began, "")

    def ask_to_stop(self) -> None:
        """SIGTERM: it reads no more, finishes what it has, and ends."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Ask, wait for the grace period, and end it."""
        self.ask_to_stop()
        deadline = time.monotonic() + GRACE_SECONDS
        while self.is_alive and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
        if self.worker is not None:
            self.worker.communicate()
