"""Proof: a project is loaded in another process, and the loaded objects are compared with the live ones."""

from __future__ import annotations

import contextlib
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

from nbgraph.capture.local_modules import folders_of
from nbgraph.capture.module.imports import is_notebook
from nbgraph.capture.proof.fingerprint import Difference, Fingerprint, FingerprintNode, differences
from nbgraph.capture.proof.object_parts import Anatomy
from nbgraph.capture.proof.roots import Roots
from nbgraph.capture.requirements import import_path
from nbgraph.errors import ExportError
from nbgraph.graph.graph import Graph
from nbgraph.introspection import attribute

LOADER = "nbgraph.serve.fingerprint"
PATIENCE = 300.0  # seconds for importing the modules of a project
TABLES = ("pandas.core.frame", "polars.dataframe.frame", "pandas")


class LoadRequest(msgspec.Struct):
    """The task of the other process: modules in `local` are the user's, the names of `places` are not compared."""

    project: str
    local: list[str] = []
    places: list[str] = []


class Loaded(msgspec.Struct):
    """The reply of the other process: the nodes of its fingerprint, or the error of loading."""

    nodes: list[FingerprintNode] = []
    error: str = ""
    trace: str = ""


@dataclass(slots=True)
class Proof:
    """The result of a comparison; `things` are the live objects by number; `error`: why loading failed."""

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
        """A summary, for the progress of a deployment."""
        counted = {
            "function": sum(isinstance(thing, types.FunctionType) for thing in self.things),
            "class": sum(isinstance(thing, type) for thing in self.things),
            "table": sum(type(thing).__module__ in TABLES for thing in self.things),
        }
        plural = {"class": "classes"}
        told = [f"{n} {name if n == 1 else plural.get(name, f'{name}s')}" for name, n in counted.items() if n]
        return ", ".join(told) or "nothing of the notebook's own"

    def sentences(self) -> list[str]:
        """Each difference as a sentence."""
        if self.error:
            return [f"loading it failed with {self.error}"]
        return [self.sentence(difference) for difference in self.differences]

    def sentence(self, difference: Difference) -> str:
        way = " -> ".join(label.strip() for _, label in difference.way if label)
        place = way if len(way) < 200 else f"{way[:100]} ... {way[-90:]}"
        return f"{place}: {difference.here[:60]} here, {difference.there[:60]} there"


def prove(
    graph: Graph,
    written: Graph,
    files: Mapping[str, bytes],
    local: Iterable[str],
    known: Mapping[int, str],
    loader: Loader,
) -> Proof:
    """Load the files in another process, and compare; `known` are the hashes of live objects in artifacts."""
    began = time.monotonic()
    places = [*folders_of(local), loader.project]
    loader.load(files, local, places)
    here, evaluated = _here(graph, written, frozenset(local), known, places)
    there = loader.told()
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


class Loader:
    """A process that loads one project; it starts, and imports libraries, while the project is still being written."""

    def __init__(self, libraries: Iterable[str]) -> None:
        if attribute(attribute(sys.modules["__main__"], "__spec__"), "name") == LOADER:
            raise ExportError(
                "A module that a step imports exports or deploys a graph when it is imported, which would never "
                'end; put that below `if __name__ == "__main__":`.'
            )
        self._folder = tempfile.TemporaryDirectory(prefix="nbgraph-proof-")
        self.project = str(Path(self._folder.name, "project"))
        self._told = Path(self._folder.name, "told.json")
        settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONBREAKPOINT": "0", "PYTHONPATH": import_path()}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", LOADER, "--into", str(self._told), *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **settings},
        )

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def load(self, files: Mapping[str, bytes], local: Iterable[str], places: Iterable[str]) -> None:
        """Begin to load the files."""
        for path, content in files.items():
            place = Path(self.project, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        order = LoadRequest(self.project, sorted(local), list(places))
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which `told` reports
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()

    def told(self) -> Loaded:
        """Wait for its reply."""
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise ExportError(
                f"What was captured took more than {PATIENCE:g} seconds to load, and a worker would take as long; "
                "load what is slow in post_init() of a step."
            ) from None
        if not self._told.is_file():
            return Loaded(error=f"the process ended with status {self._process.returncode}")
        return msgspec.json.decode(self._told.read_bytes(), type=Loaded)
