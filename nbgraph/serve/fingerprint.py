"""`python -m nbgraph.serve.fingerprint`: what a worker would have loaded, told to whoever wrote it."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.capture.anatomy import Anatomy
from nbgraph.capture.artifacts import Artifacts
from nbgraph.capture.fingerprint import Fingerprint, Node
from nbgraph.capture.proof import Loaded
from nbgraph.capture.roots import Roots
from nbgraph.graph.graph import Graph
from nbgraph.serve.project import HANDLERS, load_project


def loaded(folder: Path, local: frozenset[str], places: list[str]) -> Loaded:
    try:
        graph = load_project(folder)
        return Loaded(_fingerprint(graph, local, places))
    except BaseException as error:  # a module of the user's may call exit() as well
        return Loaded([], f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _fingerprint(graph: Graph, local: frozenset[str], places: list[str]) -> list[Node]:
    module = sys.modules[HANDLERS]
    artifacts = next((found for found in vars(module).values() if isinstance(found, Artifacts)), None)
    anatomy = Anatomy(lambda name: name == HANDLERS, lambda name: name in local)
    found = Fingerprint(anatomy, artifacts.hashes() if artifacts is not None else {}, places)
    found.grow(Roots(graph).parts())
    return found.nodes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nbgraph.serve.fingerprint")
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--local", default="", help="modules of the user's own, with commas between")
    parser.add_argument("--place", action="append", default=[], help="a folder whose name does not matter")
    parser.add_argument("--into", type=Path, required=True, help="file that the fingerprint is written to")
    given: Any = parser.parse_args()
    told = loaded(given.project, frozenset(filter(None, given.local.split(","))), given.place)
    given.into.write_bytes(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
