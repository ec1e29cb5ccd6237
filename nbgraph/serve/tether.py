"""Tether: the standard input, held by whoever started this worker; when that ends, however it ends, so does this."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class Tether:
    """Calls `leave` once the standard input has ended; until there is a better way to leave, at once and as it is.

    A worker that still builds its steps, or waits for a broker, has nothing to finish.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cut = False
        self._leave: Callable[[], object] = _vanish
        threading.Thread(target=self._watch, daemon=True, name="nbgraph-tether").start()

    def then(self, leave: Callable[[], object]) -> None:
        """Leave in that way from now on."""
        with self._lock:
            self._leave = leave
            if self._is_cut:
                leave()

    def _watch(self) -> None:
        while os.read(0, 1024):
            pass
        with self._lock:
            self._is_cut = True
            self._leave()


def _vanish() -> None:
    os._exit(1)
