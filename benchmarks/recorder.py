"""Recorder: hears from workers, wherever they run, what they have done; what a killed worker has sent is not lost."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, order=True)
class Effect:
    """One event done: when, on the clock that all processes of a machine share, and which."""

    moment: int
    key: str
    number: int


class Recorder:
    """Listens on a port of the machine; every worker has a connection of its own.

    >>> with Recorder() as recorder, socket.create_connection(recorder.address) as worker:
    ...     worker.sendall(b"17 UA 3\\n")
    ...     recorder.wait(1)
    ...     recorder.effects()
    [Effect(moment=17, key='UA', number=3)]
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listener = socket.create_server((host, 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._lines: list[str] = []
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def __len__(self) -> int:
        return len(self._lines)

    def wait(self, number: int, seconds: float = 120) -> None:
        """Return once so many effects are known."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._lines) >= number, seconds):
                raise TimeoutError(f"{len(self._lines)} of {number} effects within {seconds:g} seconds")

    def effects(self) -> list[Effect]:
        """All of them in the order in which they happened, whoever did them."""
        found = (line.split() for line in list(self._lines))
        return sorted(Effect(int(moment), key, int(number)) for moment, key, number in found)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        with connection, connection.makefile("r") as lines:
            try:
                for line in lines:
                    with self._changed:
                        self._lines.append(line)
                        self._changed.notify_all()
            except ConnectionResetError:  # a worker was killed
                return
