"""ImagePayload: what workers in containers are given: the payload, the files that they see, the packages they have.

The image holds the graph as a proven project. All else of a job (what is read, written, sorted by) goes along by name,
so it has to be of nbgraph, or of a package that is installed.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

from nbgraph.capture.local_modules import is_local
from nbgraph.capture.module.imports import is_notebook
from nbgraph.contract import PROJECT_FOLDER
from nbgraph.errors import JobError
from nbgraph.graph.documents.project import fresh_project
from nbgraph.handler import Handler
from nbgraph.jobs.output.form import Form
from nbgraph.jobs.output.targets import PATH, file_target
from nbgraph.jobs.payload import Payload
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import RowSource
from nbgraph.steps.sources.sql import SQLSource
from nbgraph.steps.targets.sql import SQLTarget

ALWAYS = ("nats", "cloudpickle")  # modules: the way to the broker, rows that MessagePack has no room for
FEW = 32  # files that are shown one by one; of more the folders are shown
DATABASE = "db_path"


@dataclass(frozen=True)
class ImagePayload:
    """`data`: the payload's bytes; `reads` and `writes`: paths of this machine; `packages`: modules to be installed."""

    data: bytes
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    packages: tuple[str, ...]

    @classmethod
    def of(cls, payload: Payload, given: Any) -> ImagePayload:
        """That of a job over the source `given`."""
        handlers = [one for one in (payload.source, payload.target) if isinstance(one, Handler)]
        modules = [*ALWAYS, *(name for one in handlers for name in one.packages), *_rows_of(given)]
        modules += [name for one in handlers for name in _driver_of(one)]
        modules += ["pyarrow"] if payload.form is Form.PARQUET else []
        return cls(
            _packed(payload),
            _reads_of(payload.source),
            tuple(dict.fromkeys([payload.folder, *_writes_of(payload)])),
            tuple(dict.fromkeys(modules)),
        )


class _ImagePickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, payload: Payload) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._graph = payload.graph

    def reducer_override(self, obj: Any) -> Any:
        if obj is self._graph:
            return fresh_project, (Path(PROJECT_FOLDER),)
        module = obj.__module__ if isinstance(obj, type | FunctionType) else ""
        if module and (is_notebook(module) or is_local(module)):
            raise JobError(
                f"A job in containers reads, writes and sorts by what an image has, and {obj.__qualname__} of {module} "
                'is in none: name a field as the key, take a source and a target of nbgraph, or engine="process".'
            )
        return NotImplemented


def _packed(payload: Payload) -> bytes:
    file = io.BytesIO()
    _ImagePickler(file, payload).dump(replace(payload, hashes={}))
    return file.getvalue()


def _rows_of(given: Any) -> list[str]:
    """The package that a table's rows are made by."""
    root = type(given).__module__.partition(".")[0]
    return [root] if root in ("pandas", "polars", "pyarrow") else []


def _driver_of(handler: Handler) -> Iterator[str]:
    """The package by which SQLAlchemy speaks with the database; Python itself has SQLite's."""
    if isinstance(handler, SQLSource | SQLTarget):
        url = package("sqlalchemy", "A job over a database").make_url(handler.arguments[DATABASE])
        driver = url.get_dialect().driver
        yield from [] if driver == "pysqlite" else [driver]


def _reads_of(source: Any) -> tuple[Path, ...]:
    files = [path.absolute() for path in source.files()] if isinstance(source, RowSource) else []
    found = files if len(files) <= FEW else [path.parent for path in files]
    return tuple(dict.fromkeys(found))


def _writes_of(payload: Payload) -> Iterator[Path]:
    """Folders that the graph's targets, the job's own, and SQLite write to; made where they are not there yet."""
    told = [arguments for step in payload.graph.steps if (target := file_target(payload.graph, step)) is not None
            for arguments in [target[1]]]  # fmt: skip
    told += [one.arguments for one in (payload.target, payload.source) if isinstance(one, Handler)]
    yield from _folders(told)


def _folders(told: Sequence[dict[str, Any]]) -> Iterator[Path]:
    for arguments in told:
        path, url = arguments.get(PATH), str(arguments.get(DATABASE, ""))
        if path is None and url.startswith("sqlite:///"):
            path = url.removeprefix("sqlite:///")
        if path:
            folder = Path(path).absolute().parent
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
