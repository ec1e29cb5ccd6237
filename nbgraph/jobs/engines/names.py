"""Engines by their names."""

from __future__ import annotations

import os
from typing import Any

from nbgraph.contract import HOSTED_FOLDER, PAYLOAD_FILE
from nbgraph.errors import JobError
from nbgraph.graph.facade import job_workers
from nbgraph.jobs.part import Engine
from nbgraph.jobs.payload import Payload, packed


def engine_of(given: Any, payload: Payload, source: Any, lock: int, workers: int) -> Engine:
    """The engine that a job over a source asks for; `lock` is the descriptor that holds its folder."""
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
        return _hosted(given, payload, source, workers)
    raise JobError(
        f'A job got engine={given!r}; expected "process", "thread", "docker", "swarm", "dask://HOST:PORT" '
        "or a client of Dask."
    )


def _hosted(target: str, payload: Payload, source: Any, workers: int) -> Engine:
    """Workers in containers; whether anybody could start them is asked at once."""
    from nbgraph.jobs.engines.hosted import HostedEngine
    from nbgraph.jobs.engines.image_payload import ImagePayload

    image = ImagePayload.of(payload, source)
    hosted = payload.folder / HOSTED_FOLDER
    hosted.mkdir(exist_ok=True)
    (hosted / PAYLOAD_FILE).write_bytes(image.data)
    start = job_workers(
        target, payload.graph, folder=payload.folder, cwd=os.getcwd(), reads=image.reads, writes=image.writes,
        packages=image.packages, workers=workers,
    )  # fmt: skip
    return HostedEngine(start, payload.folder, workers)
