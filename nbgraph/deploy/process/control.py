"""Asks: what another process of the same user wants of the one that owns a fleet, as files in the fleet's folder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgraph.errors import DeployError

Asked = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One wish, and where the word goes that it is done."""

    place: Path
    asked: Asked

    def done_by(self, do: Callable[[Asked], None]) -> None:
        """Do it, and tell how it went."""
        error = ""
        try:
            do(self.asked)
        except Exception as problem:
            error = str(problem) or type(problem).__name__
        if self.place.parent.exists():  # else the fleet itself was to go
            _write(self.place.with_suffix(".done"), {"error": error})


def asks(folder: Path) -> Iterator[ControlRequest]:
    """What has been asked since the last look."""
    for place in folder.glob("*.ask"):
        taken = place.rename(place.with_suffix(".taken"))
        yield ControlRequest(taken, json.loads(taken.read_text()))
        taken.unlink(missing_ok=True)


def ask(folder: Path, asked: Asked, patience: float, lives: Callable[[], bool]) -> None:
    """Ask the owner of a fleet, and wait until it is done; with its folder, or its owner, a fleet has ended.

    >>> ask(Path("/nowhere"), {"what": "stop"}, 1, lambda: True)
    """
    if not folder.exists():
        return
    place = folder / secrets.token_hex(8)
    _write(place.with_suffix(".ask"), asked)
    done, deadline = place.with_suffix(".done"), time.monotonic() + patience
    while folder.exists() and not done.exists() and lives():
        if time.monotonic() > deadline:
            raise DeployError(f"The process that owns the deployment has not answered within {patience:g} seconds.")
        time.sleep(0.02)
    if done.exists():
        error = json.loads(done.read_text())["error"]
        done.unlink()
        if error:
            raise DeployError(error)


def _write(place: Path, told: Mapping[str, Any]) -> None:
    unfinished = place.with_suffix(".part")
    unfinished.write_text(json.dumps(told))
    unfinished.replace(place)


# Alive: whether a process that was started once is still the same one; pids are given out anew.


def born(pid: int) -> str:
    """When a process was started, in the system's own words; empty where there is none of that number.

    >>> born(os.getpid()) != "", born(2**22 + 1)
    (True, '')
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()
            return "" if after_name[0] == "Z" else after_name[19]  # a zombie only waits for its parent to look
        return ""
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def is_same(pid: int, since: str) -> bool:
    """Whether the process that `born` told of is still there."""
    return bool(since) and born(pid) == since


def ended(pid: int, since: str, patience: float) -> None:
    """End a process, if it is still that one: it is asked, and killed when it does not go."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        if is_same(pid, since):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while is_same(pid, since) and time.monotonic() < deadline:
            time.sleep(0.02)
