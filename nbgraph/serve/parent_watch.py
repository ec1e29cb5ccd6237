"""ParentWatch: the standard input is held by the parent process; when it ends, however it ends, the worker stops."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("nbgraph.serve")


def nobody_there() -> int:
    """Give the steps an end of input at once, since nobody sits at a worker; the input itself goes on as this file.

    A step that reads it would wait for ever, and take what tells that the parent process has died.
    """
    held = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.breakpointhook = _passed_over
    return held


def _passed_over(*args: Any, **named: Any) -> None:
    place = sys._getframe(1)
    log.warning("breakpoint() at %s:%d is passed over", place.f_code.co_filename, place.f_lineno)


class ParentWatch:
    """Calls `leave` once the standard input has ended; until there is a better way to leave, at once and as it is.

    A worker that still builds its steps, or waits for a broker, has nothing to finish.
    """

    def __init__(self, file: int) -> None:
        self._file = file
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
        while os.read(self._file, 1024):
            pass
        with self._lock:
            self._is_cut = True
            self._leave()


def _vanish() -> None:
    os._exit(1)
