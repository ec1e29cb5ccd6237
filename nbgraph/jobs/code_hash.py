"""Code: the hashes by which it is known whether a graph is the one that a job's parts were made with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from nbgraph.capture.local_modules import folders_of, is_local
from nbgraph.capture.module.imports import is_notebook
from nbgraph.capture.proof.fingerprint import Fingerprint
from nbgraph.capture.proof.object_parts import Anatomy
from nbgraph.capture.proof.roots import Roots
from nbgraph.errors import JobError
from nbgraph.graph.graph import Graph
from nbgraph.jobs.payload import Payload


def hashes_of(graph: Graph) -> dict[str, str]:
    """A hash for each part of a graph that has code or data: the same in every process that has the same.

    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip, "strip")
    >>> list(hashes_of(graph))
    ['step "strip"', 'the graph']
    """
    found = {label: told for label, told, _ in _fingerprints(graph)}
    steps = [(step.name, repr(step.options), step.function) for step in graph.steps]
    edges = [
        (edge.source, edge.target, edge.otherwise, str(edge.kind), edge.when if isinstance(edge.when, str) else "")
        for edge in graph.edges
    ]
    wiring = repr((steps, edges, graph.responder, graph.max_iterations, graph.copy))
    return {**found, "the graph": hashlib.sha256(wiring.encode()).hexdigest()}


def own_hashes_of(graph: Graph) -> dict[str, str]:
    """The hashes of the parts that reach into modules of the user's own, which a worker reads from their files."""
    return {label: told for label, told, is_own in _fingerprints(graph) if is_own}


def _fingerprints(graph: Graph) -> Iterator[tuple[str, str, bool]]:
    for label, part in Roots(graph).parts():
        anatomy = _CodeAnatomy()
        found = Fingerprint(anatomy, folders=folders_of(anatomy.local))
        found.grow([(label, part)])
        told = repr([(node.kind, node.parts) for node in found.nodes])
        yield label, hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest(), bool(anatomy.local)


class _CodeAnatomy(Anatomy):
    """Notes which modules of the user's own were met."""

    def __init__(self) -> None:
        self.local: set[str] = set()
        super().__init__(is_notebook, self._met)

    def _met(self, module: str) -> bool:
        is_found = is_local(module)
        if is_found:
            self.local.add(module)
        return is_found


def check_code(payload: Payload) -> None:
    """In a worker: its modules are those that the job's process has loaded."""
    here = own_hashes_of(payload.graph)
    for label, told in payload.hashes.items():
        if here.get(label) != told:
            raise JobError(
                f"The {label} uses a module whose file is not what the job's process has loaded: its workers would run "
                "other code. Restart the kernel, or reload the module."
            )
