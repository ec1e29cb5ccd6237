"""Captured: what would leave the notebook, and whether it is what lives in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from nbgraph.capture.artifacts import Artifact
from nbgraph.capture.project import attempt
from nbgraph.graph.graph import Graph


@dataclass(frozen=True, slots=True)
class Captured:
    """The text of `handlers.py`, the files beside it, the packages to install; `differences` are sentences.

    `left`: data of your own packages that is too big to go along; `proof` says what was compared.
    """

    source: str
    artifacts: tuple[Artifact, ...]
    requirements: tuple[str, ...]
    equal: bool
    differences: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    proof: str = field(default="", repr=False)


def captured(graph: Graph) -> Captured:
    """What an export would write of a graph, with the proof.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper).respond()
    >>> captured(graph).equal, captured(graph).source.splitlines()[2]
    (True, 'upper = str.upper')
    """
    project = attempt(graph)
    proof = project.proof
    lines = tuple(project.requirements.lines())
    told = tuple(proof.sentences()) if not proof.is_equal else ()
    return Captured(project.handlers, project.artifacts, lines, proof.is_equal, told, project.left, str(proof))
