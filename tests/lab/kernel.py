"""A kernel on another machine: cells run in a process of their own, inside a network namespace."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab.notebook import Notebook

NETWORK = 0x40000000  # CLONE_NEWNET
_OPEN: list[Notebook] = []  # in the process of the kernel: its one notebook


class Kernel:
    """`run` a cell and wait, `begin` one and go on, read a `value`."""

    def __init__(self, namespace: Path, environment: dict[str, str]) -> None:
        self._process = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=_open, initargs=(str(namespace), environment)
        )

    def run(self, cell: str) -> None:
        self.begin(cell).result(200)

    def begin(self, cell: str) -> Future[None]:
        return self._process.submit(_run, cell)

    def value(self, expression: str) -> Any:
        """What an expression gives; it has to be something that can be sent."""
        return self._process.submit(_value, expression).result(200)

    def close(self) -> None:
        self._process.shutdown(cancel_futures=True)


def _open(namespace: str, environment: dict[str, str]) -> None:
    """Enter before there is any other thread, since a thread enters for itself and those that it starts."""
    descriptor = os.open(namespace, os.O_RDONLY)
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, NETWORK):
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(descriptor)
    os.environ.update(environment)
    _OPEN.append(Notebook())


def _run(cell: str) -> None:
    try:
        _OPEN[0].cell(cell)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # of a kind that can't be sent
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


def _value(expression: str) -> Any:
    _run(f"_result = {expression}")
    return _OPEN[0]["_result"]
