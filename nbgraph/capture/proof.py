"""Proof: a project is loaded in a process of its own, and what was loaded is compared with what lives here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.capture.anatomy import Anatomy
from nbgraph.capture.fingerprint import Difference, Fingerprint, Node, differences
from nbgraph.capture.imports import is_notebook
from nbgraph.capture.local import folders_of
from nbgraph.capture.requirements import import_path
from nbgraph.capture.roots import Roots
from nbgraph.errors import ExportError
from nbgraph.graph.graph import Graph
from nbgraph.look import attribute

LOADER = "nbgraph.serve.fingerprint"
PATIENCE = 300.0  # seconds in which the modules of a project must have been imported
TABLES = ("pandas.core.frame", "polars.dataframe.frame", "pandas")


class Loaded(msgspec.Struct):
    """What the other process tells: the nodes of its fingerprint, or how loading failed."""

    nodes: list[Node] = []
    error: str = ""
    trace: str = ""


@dataclass(slots=True)
class Proof:
    """`things` are the live objects by their numbers; `error`: why the project could not be loaded."""

    differences: list[Difference] = field(default_factory=list)
    things: list[Any] = field(default_factory=list)
    evaluated: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    trace: str = ""
    seconds: float = 0.0
    bytes: int = 0

    @property
    def is_equal(self) -> bool:
        return not (self.differences or self.error)

    def __str__(self) -> str:
        """What was compared, for the progress of a deployment."""
        counted = {
            "function": sum(isinstance(thing, types.FunctionType) for thing in self.things),
            "class": sum(isinstance(thing, type) for thing in self.things),
            "table": sum(type(thing).__module__ in TABLES for thing in self.things),
        }
        plural = {"class": "classes"}
        told = [f"{n} {name if n == 1 else plural.get(name, f'{name}s')}" for name, n in counted.items() if n]
        return ", ".join(told) or "nothing of the notebook's own"

    def sentences(self) -> list[str]:
        """Each difference as a person would say it."""
        if self.error:
            return [f"loading it failed with {self.error}"]
        return [self.sentence(difference) for difference in self.differences]

    def sentence(self, difference: Difference) -> str:
        way = " -> ".join(label.strip() for _, label in difference.way if label)
        place = way if len(way) < 200 else f"{way[:100]} ... {way[-90:]}"
        return f"{place}: {difference.here[:60]} here, {difference.there[:60]} there"


def prove(
    graph: Graph, written: Graph, files: Mapping[str, bytes], local: Iterable[str], known: Mapping[int, str]
) -> Proof:
    """Load the files in a process of its own, and compare; `known` are the hashes of live objects in artifacts."""
    if attribute(attribute(sys.modules["__main__"], "__spec__"), "name") == LOADER:
        raise ExportError(
            "A module that a step imports exports or deploys a graph as it is imported, which would go on without an "
            'end; put that below `if __name__ == "__main__":`.'
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nbgraph-proof-") as name:
        folder = Path(name)
        places = [*folders_of(local), str(folder / "project")]
        process, told = _started(folder, files, local, places)
        try:
            here, evaluated = _here(graph, written, frozenset(local), known, places)
            _await(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
        there = _read(told, process)
    proof = Proof(things=here.things, evaluated=evaluated, error=there.error, trace=there.trace)
    if not there.error:
        proof.differences = differences(here.nodes, there.nodes)
    proof.seconds = time.monotonic() - began
    proof.bytes = sum(map(len, files.values()))
    return proof


def _here(
    graph: Graph, written: Graph, local: frozenset[str], known: Mapping[int, str], places: Iterable[str]
) -> tuple[Fingerprint, Mapping[str, Any]]:
    roots = Roots(graph, written)
    found = Fingerprint(Anatomy(is_notebook, lambda module: module in local), known, places)
    found.grow(roots.parts())
    return found, roots.evaluated


def _started(
    folder: Path, files: Mapping[str, bytes], local: Iterable[str], places: Iterable[str]
) -> tuple[subprocess.Popen[bytes], Path]:
    project, told = folder / "project", folder / "told.json"
    for path, content in files.items():
        place = project / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    command = [
        sys.executable, "-P", "-m", LOADER, "--project", str(project), "--local", ",".join(local), "--into", str(told),
        *(word for place in places for word in ("--place", place)),
    ]  # fmt: skip
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONBREAKPOINT": "0", "PYTHONPATH": import_path()}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=project,
        env={**os.environ, **settings}, start_new_session=True,
    )  # fmt: skip
    return process, told


def _await(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise ExportError(
            f"What was captured took more than {PATIENCE:g} seconds to load, and a worker would take as long; "
            "load what is slow in post_init() of a step."
        ) from None


def _read(told: Path, process: subprocess.Popen[bytes]) -> Loaded:
    if not told.is_file():
        return Loaded(error=f"the process ended with status {process.returncode}")
    return msgspec.json.decode(told.read_bytes(), type=Loaded)
