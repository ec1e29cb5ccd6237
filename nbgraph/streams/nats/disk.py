"""Disk: what a full one does to a NATS server, and how that is brought back where a container is all there is of it.

The broker's image holds this file alone, and runs it around its server: it imports nothing but Python's own.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

FULL = b"no space left on device"  # as the server says in its log
ENOUGH = 256 << 20  # bytes of a disk that are room
EVERY = 1.0  # seconds between looks at a disk that was full
PATIENCE = 20.0  # seconds for a server to end


def has_room(folder: str) -> bool:
    """Whether a server that has given up can write again."""
    disk = shutil.disk_usage(folder)
    return disk.free > min(disk.total // 5, ENOUGH)


class ServerGuard:
    """Runs a server: where a full disk has made it give up writing, it is started again as soon as there is room.

    `folder`: where it keeps its data.
    """

    def __init__(self, folder: str, command: Sequence[str]) -> None:
        self._folder, self._command = folder, command
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = False

    def run(self) -> int:
        """The code with which the server has ended by itself, or by a signal to this process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        while True:
            code, is_renewed = self._once()
            if self._is_over or not is_renewed:
                return code if code >= 0 else 128 - code
            print("The disk was full, and has room again: the server is started again on its data", file=sys.stderr)

    def _once(self) -> tuple[int, bool]:
        """Its code, and whether it was ended to be started again."""
        renewed = threading.Event()
        watch: threading.Thread | None = None
        with subprocess.Popen(self._command, stderr=subprocess.PIPE) as process:
            self._process = process
            if self._is_over:  # the signal came while it was started
                process.terminate()
            assert process.stderr is not None
            for line in process.stderr:
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
                if FULL in line and watch is None:
                    watch = threading.Thread(target=self._renew, args=(process, renewed), daemon=True)
                    watch.start()
        return process.returncode, renewed.is_set()

    def _renew(self, process: subprocess.Popen[bytes], renewed: threading.Event) -> None:
        while not has_room(self._folder):
            time.sleep(EVERY)
        renewed.set()
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
            return
        process.kill()

    def _end(self) -> None:
        self._is_over = True
        if self._process is not None:
            self._process.terminate()


if __name__ == "__main__":
    sys.exit(ServerGuard(sys.argv[1], sys.argv[2:]).run())
