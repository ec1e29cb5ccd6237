"""Processes: functions of a notebook at work in other processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Any

import cloudpickle

from nbgraph.errors import own


class Processes:
    """A pool of processes that all run one function, also one that was defined in a cell.

    >>> pool = Processes(lambda body: body * 2, 1)
    >>> pool.submit(21)
    <Future at ...>
    >>> pool.close()

    Processes are started anew ("spawn") and not forked, since the notebook's process has threads. As always with
    such processes, a script that uses them keeps its own work under `if __name__ == "__main__":`.
    """

    def __init__(self, function: Callable[[Any], Any], count: int) -> None:
        self._function: bytes = cloudpickle.dumps(function)
        self._pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))

    def submit(self, body: Any) -> Any:
        """The future of the outcome, still packed: see `value`."""
        return self._pool.submit(_work, self._function, cloudpickle.dumps(body))

    @staticmethod
    def value(outcome: bytes) -> Any:
        """The function's result; what it raised rises here."""
        is_result, value = cloudpickle.loads(outcome)
        if not is_result:
            raise value
        return value

    def close(self) -> None:
        self._pool.shutdown()


def _work(function: bytes, body: bytes) -> bytes:
    """Runs in the process: exceptions travel as values, since one of a cell's own class would not travel by itself."""
    try:
        return bytes(cloudpickle.dumps((True, _loaded(function)(cloudpickle.loads(body)))))
    except own() as error:
        return bytes(cloudpickle.dumps((False, error)))


@lru_cache(8)
def _loaded(function: bytes) -> Callable[[Any], Any]:
    loaded: Callable[[Any], Any] = cloudpickle.loads(function)
    return loaded
