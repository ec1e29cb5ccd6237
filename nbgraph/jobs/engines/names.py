"""Engines by their names."""

from __future__ import annotations

from typing import Any

from nbgraph.errors import JobError
from nbgraph.jobs.part import Engine
from nbgraph.jobs.payload import Payload, packed


def engine_of(given: Any, payload: Payload, lock: int, workers: int) -> Engine:
    """The engine that a job asks for; `lock` is the descriptor that holds its folder."""
    if given == "process":
        from nbgraph.jobs.engines.process import ProcessEngine

        return ProcessEngine(packed(payload), payload.folder, lock, workers)
    if given == "thread":
        from nbgraph.jobs.engines.thread import ThreadEngine

        return ThreadEngine(payload, packed(payload) if payload.is_fresh else b"", workers)
    if (isinstance(given, str) and given.startswith("dask://")) or type(given).__module__.startswith("distributed."):
        from nbgraph.jobs.engines.dask import DaskEngine

        return DaskEngine(given, packed(payload), payload.folder)
    if given in ("docker", "swarm"):
        raise JobError(
            f'engine="{given}" is not there yet; take "process" on this machine, or "dask://HOST:PORT" with workers in '
            "containers that see the job's folder."
        )
    raise JobError(f'A job got engine={given!r}; expected "process", "thread", "dask://HOST:PORT" or a client of Dask.')
