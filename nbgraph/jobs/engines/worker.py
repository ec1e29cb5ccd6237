"""A worker: a process that does tasks for a job; it ends at once when the job's process does."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from nbgraph.jobs.part_run import PartRunner
from nbgraph.jobs.payload import Payload, unpacked

RESULT, ERROR, STEP = "result", "error", "step"  # what a worker tells


def main(descriptor: int, lock: int | None) -> None:
    """Do what comes until nothing comes any more."""
    os.set_inheritable(descriptor, False)
    if lock is not None:
        os.set_inheritable(lock, False)  # held as long as this process lives, and not by what its steps start
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job's process, which ends this one
    connection = Connection(descriptor)
    name, packed = pickle.loads(connection.recv_bytes())
    work: PartRunner | None = None
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    while True:
        task = tasks.get()
        try:
            if work is None:
                payload = _checked(unpacked(packed))
                work = PartRunner(payload, name, packed, lambda step: connection.send((STEP, step)))
            told: Any = (RESULT, work.run(task))
        except BaseException as error:
            told = (ERROR, error)
        sys.stdout.flush()
        _send(connection, told)


def _checked(payload: Payload) -> Payload:
    if payload.hashes:
        from nbgraph.jobs.code_hash import check_code  # few graphs need it, and it takes its time to load

        check_code(payload)
    return payload


def _listen(connection: Connection, tasks: queue.SimpleQueue[Any]) -> None:
    """A thread of its own, so that a long step does not outlive the job."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def _send(connection: Connection, told: Any) -> None:
    try:
        connection.send(told)
    except OSError:
        os._exit(0)
    except Exception:  # an error that can't be pickled
        kind, error = told
        connection.send((kind, RuntimeError(f"{type(error).__name__}: {error}")))
