"""`python -m nbgraph.serve.fingerprint`: what a worker would have loaded, told to whoever wrote it."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.capture.artifacts import Artifacts
from nbgraph.capture.proof.fingerprint import Fingerprint, FingerprintNode
from nbgraph.capture.proof.object_parts import Anatomy
from nbgraph.capture.proof.proof import Loaded, LoadRequest
from nbgraph.capture.proof.roots import Roots
from nbgraph.contract import HANDLERS_MODULE
from nbgraph.graph.graph import Graph
from nbgraph.serve.project import load_project


def loaded(order: LoadRequest) -> Loaded:
    local = frozenset(order.local)
    try:
        os.chdir(order.project)
        graph = load_project(Path(order.project))
        return Loaded(_fingerprint(graph, local, order.places))
    except BaseException as error:  # a module of the user's may call exit() as well
        return Loaded([], f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _fingerprint(graph: Graph, local: frozenset[str], places: list[str]) -> list[FingerprintNode]:
    module = sys.modules[HANDLERS_MODULE]
    artifacts = next((found for found in vars(module).values() if isinstance(found, Artifacts)), None)
    anatomy = Anatomy(lambda name: name == HANDLERS_MODULE, lambda name: name in local)
    found = Fingerprint(anatomy, artifacts.hashes() if artifacts is not None else {}, places)
    found.grow(Roots(graph).parts())
    return found.nodes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nbgraph.serve.fingerprint")
    parser.add_argument("--into", type=Path, required=True, help="file that the fingerprint is written to")
    parser.add_argument("libraries", nargs="*", help="what to import until the order comes, a line on standard input")
    given: Any = parser.parse_args()
    for name in given.libraries:
        with contextlib.suppress(Exception):  # the project imports it again, and fails
            importlib.import_module(name)
    order = sys.stdin.buffer.readline()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # as a worker has it
    if order:
        given.into.write_bytes(msgspec.json.encode(loaded(msgspec.json.decode(order, type=LoadRequest))))


if __name__ == "__main__":
    main()
