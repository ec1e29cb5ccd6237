"""Process: a function hosted by a worker in a child process, which ends with the notebook at the latest."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbgraph.deploy.hosted import Request, State, alone, failed_start
from nbgraph.deploy.profile import GRACE_SECONDS
from nbgraph.deploy.project import write
from nbgraph.errors import DeployError

PREFIX = "nbgraph-"
STATE, KEY, LOG, READY = "deployment.json", "api_key", "log", "ready.json"


class Process:
    """A running worker and the folder it works in."""

    target = "process"

    def __init__(self, request: Request, folder: Path, pid: int, worker: subprocess.Popen[bytes] | None) -> None:
        ready = json.loads((folder / READY).read_text())
        self.request = request
        self.url = f"http://{_reached(request.host)}:{ready['port']}"
        self.metrics_urls = [f"http://127.0.0.1:{ready['metrics_port']}/metrics"]
        self._folder, self._pid, self._worker = folder, pid, worker
        self._started = datetime.fromtimestamp((folder / READY).stat().st_mtime, UTC)

    @classmethod
    def start(cls, request: Request, files: Mapping[str, bytes]) -> Process:
        """Write the project into a folder of its own and wait until its worker answers."""
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{request.name}-"))
        worker = None
        try:
            write(folder / "project", {path: text for path, text in files.items() if not path.endswith(".whl")})
            worker = _spawn(request, folder)
            _wait(worker, folder, request.timeout)
            (folder / STATE).write_text(json.dumps(_described(request, worker.pid)))
            process = cls(request, folder, worker.pid, worker)
        except BaseException:  # Ctrl-C as well: nothing may stay behind
            if worker is not None:
                worker.kill()
                worker.communicate()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        atexit.register(process.stop)
        return process

    @classmethod
    def find(cls, name: str) -> Process | None:
        """The running process of that deployment, started by whichever kernel."""
        for state in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{STATE}"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                found = json.loads(state.read_text())
                if name in (found["name"], found["graph"]) and _is_alive(found["pid"]):
                    key_file = state.parent / KEY
                    key = key_file.read_text() if key_file.exists() else None
                    request = Request(found["name"], found["graph"], found["function"], found["host"], None, key, 60)
                    return cls(request, state.parent, found["pid"], None)
        return None

    @property
    def functions(self) -> list[str]:
        return [self.request.function]

    def sources(self) -> list[tuple[str, str]]:
        return [(self.request.function, url) for url in self.metrics_urls]

    def scale(self, function: str, n: int) -> None:
        if n != 1:
            raise alone(function)

    def replicas(self, function: str) -> int:
        return 1

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        return []

    def logs(self, lines: int, function: str | None = None) -> str:
        return "\n".join(_log(self._folder).splitlines()[-lines:])

    def states(self) -> list[State]:
        is_running = _is_alive(self._pid) if self._worker is None else self._worker.poll() is None
        state = "running" if is_running else "exited"
        started = self._started.isoformat(timespec="seconds")
        return [State(self.request.function, str(self._pid), state, 0, started, "")]

    def stop(self) -> None:
        atexit.unregister(self.stop)
        if self._worker is not None:
            _end(self._worker)
        elif _is_alive(self._pid):
            os.kill(self._pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS
            while _is_alive(self._pid) and time.monotonic() < deadline:
                time.sleep(0.02)
        shutil.rmtree(self._folder, ignore_errors=True)


def _spawn(request: Request, folder: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(folder / "project"), "--host", request.host,
        "--port", str(request.port or 0), "--metrics-port", "0", "--ready-file", str(folder / READY), "--until-eof",
    ]  # fmt: skip
    if request.api_key is not None:
        key = folder / KEY
        key.touch(mode=0o600)
        key.write_text(request.api_key)
        command += ["--key-file", str(key)]
    with (folder / LOG).open("wb") as log:
        # Its standard input is a pipe that closes when the notebook dies, however it dies; a session of its own
        # keeps a Ctrl-C in the terminal from it.
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )


def _wait(worker: subprocess.Popen[bytes], folder: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not (folder / READY).exists():
        if worker.poll() is not None:
            raise failed_start("The worker ended before it was ready", _log(folder))
        if time.monotonic() > deadline:
            raise failed_start(f"The worker was not ready within {timeout:g} seconds", _log(folder))
        time.sleep(0.01)


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.terminate()
    try:
        worker.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.communicate()


def _described(request: Request, pid: int) -> dict[str, Any]:
    fields = {"name": request.name, "graph": request.graph, "function": request.function, "host": request.host}
    return {**fields, "pid": pid}


def _log(folder: Path) -> str:
    return (folder / LOG).read_text(errors="replace")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise DeployError(f"Process {pid} belongs to another user.") from error
    return True


def _reached(host: str) -> str:
    """An address to call it by from here."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
