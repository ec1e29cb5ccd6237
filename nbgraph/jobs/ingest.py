"""Ingest: a data set into a feature set by a job: on all cores, resumed after whatever died, seen in one commit."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgraph.features.ingest import identity_of
from nbgraph.features.lineage import passed
from nbgraph.graph.graph import Graph
from nbgraph.jobs.folder import JobFolder
from nbgraph.jobs.job import Job, begin
from nbgraph.jobs.output.result import home
from nbgraph.jobs.output.set_target import SetTarget

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet


def begin_ingest(
    set: FeatureSet, source: Any, *, id: str | None, online: bool, key: Any, engine: Any, workers: int | None,
    part_rows: int, retries: int, max_failures: int | str | None, resume: bool, name: str | None, progress: bool,
) -> Job:  # fmt: skip
    """See `FeatureSet.job`."""
    from nbgraph.features.offline.rows import rows_of

    rows = rows_of(source)
    identity = identity_of(rows, id)
    folder = _folder(set, identity)
    is_known = set.offline.find(identity) is not None
    if JobFolder(folder).is_whole:
        if is_known:
            return Job.attach(folder)
        shutil.rmtree(folder)  # its rows were in a set that has been removed since
    graph = set.graph
    if graph is None or not graph.steps:
        graph = Graph(set.name)
        graph.to(passed, "row")
    target = SetTarget(set, identity, rows.name, folder, online)
    return begin(
        graph, [] if is_known else rows.whole, target, key=key, engine=engine, workers=workers, part_rows=part_rows,
        retries=retries, max_failures=max_failures, resume=resume and not is_known, name=name, progress=progress,
    )  # fmt: skip


def _folder(set: FeatureSet, identity: str) -> Path:
    """Where the job of that data set works: in the folder of the store, or with the other jobs if that is elsewhere."""
    told = hashlib.sha256(identity.encode()).hexdigest()[:16]
    own = set.store.folder
    place = home() / "features" if own is None else own / "jobs"
    return place / set.name / str(set.version) / told
