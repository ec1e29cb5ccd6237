"""Engines by their names."""

from __future__ import annotations

from typing import Any

from nbgraph.errors import JobError
from nbgraph.jobs.load import Load, packed
from nbgraph.jobs.part import Engine


def engine_of(given: Any, load: Load, lock: int, workers: int) -> Engine:
    """The engine that a job asks for; `lock` is the descriptor that holds its folder."""
    if given == "process":
        from nbgraph.jobs.process import ProcessEngine

        return ProcessEngine(packed(load), load.folder, lock, workers)
    if given == "thread":
        from nbgraph.jobs.thread import ThreadEngine

        return ThreadEngine(load, packed(load) if load.is_fresh else b"", workers)
    if (isinstance(given, str) and given.startswith("dask://")) or type(given).__module__.startswith("distributed."):
        from nbgraph.jobs.dask import DaskEngine

        return DaskEngine(given, packed(load), load.folder)
    raise JobError(f'A job got engine={given!r}; expected "process", "thread", "dask://HOST:PORT" or a client of Dask.')
