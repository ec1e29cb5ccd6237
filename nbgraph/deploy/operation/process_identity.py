"""Process identity: whether a process that was started once is still the same one; pids are given out anew."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path


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
